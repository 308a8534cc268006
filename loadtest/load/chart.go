package load

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"
)

// chart is a plot of what happened over time: latency above, on a logarithmic scale,
// and how much there was below.
type chart struct {
	title string
	// latency and rate name the two panels, with their units.
	latency, rate string
	seconds       []second
	marks         []mark
}

// mark is a moment of note.
type mark struct {
	at    time.Duration
	label string
}

// The measures of the picture, in pixels.
const (
	chartWidth, chartHeight   = 860, 380
	plotLeft, plotRight       = 60, chartWidth - 20
	latencyTop, latencyBottom = 44, 240
	rateTop, rateBottom       = 268, 340
)

// lines are the quantiles that are drawn, from the slowest.
func lines() []struct {
	name, color string
	of          func(second) float64
} {
	return []struct {
		name, color string
		of          func(second) float64
	}{
		{"p99", "#d55e00", func(s second) float64 { return s.p99 }},
		{"p95", "#e69f00", func(s second) float64 { return s.p95 }},
		{"p50", "#0072b2", func(s second) float64 { return s.p50 }},
	}
}

// svg is the chart as a picture of its own.
func (c chart) svg() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		chartWidth, chartHeight, chartWidth, chartHeight)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", chartWidth, chartHeight)
	text(&b, plotLeft, 20, "start", "14", c.title)
	c.legend(&b)
	c.drawLatency(&b)
	c.drawRate(&b)
	c.drawTime(&b)
	b.WriteString("</svg>\n")
	return b.String()
}

func text(b *strings.Builder, x, y float64, anchor, size, what string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%s" fill="#222">%s</text>`+"\n", x, y, anchor, size, html.EscapeString(what))
}

func line(b *strings.Builder, x1, y1, x2, y2 float64, style string) {
	fmt.Fprintf(b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" %s/>`+"\n", x1, y1, x2, y2, style)
}

const (
	gridStyle = `stroke="#ddd"`
	markStyle = `stroke="#c00" stroke-dasharray="4 3"`
)

func (c chart) legend(b *strings.Builder) {
	x := float64(plotRight - 180)
	for _, l := range lines() {
		line(b, x, 16, x+20, 16, fmt.Sprintf(`stroke="%s" stroke-width="2"`, l.color))
		text(b, x+25, 20, "start", "12", l.name)
		x += 60
	}
}

// x is where a moment is.
func (c chart) x(at time.Duration) float64 {
	return plotLeft + (plotRight-plotLeft)*at.Seconds()/c.length().Seconds()
}

// length is the time that the chart covers, at least a second.
func (c chart) length() time.Duration {
	length := time.Second
	if n := len(c.seconds); n > 0 {
		length = max(length, c.seconds[n-1].at)
	}
	for _, m := range c.marks {
		length = max(length, m.at)
	}
	return length
}

func (c chart) drawLatency(b *strings.Builder) {
	low, high := c.decades()
	y := func(ms float64) float64 {
		at := (math.Log10(max(ms, low)) - math.Log10(low)) / (math.Log10(high) - math.Log10(low))
		return latencyBottom - (latencyBottom-latencyTop)*min(at, 1)
	}
	text(b, plotLeft, latencyTop-8, "start", "12", c.latency)
	for decade := low; decade <= high*1.001; decade *= 10 {
		line(b, plotLeft, y(decade), plotRight, y(decade), gridStyle)
		text(b, plotLeft-6, y(decade)+4, "end", "12", number(decade))
	}
	for _, l := range lines() {
		c.polyline(b, l.color, func(s second) (float64, bool) { return y(l.of(s)), s.count > 0 })
	}
}

// decades are the powers of ten around what is drawn.
func (c chart) decades() (low, high float64) {
	least, most := math.Inf(1), 0.0
	for _, s := range c.seconds {
		if s.count > 0 {
			least, most = min(least, s.p50), max(most, s.p99)
		}
	}
	if most == 0 {
		return 1, 10
	}
	low = math.Pow(10, math.Floor(math.Log10(max(least, 0.1))))
	return low, max(math.Pow(10, math.Ceil(math.Log10(max(most, 0.1)))), 10*low)
}

// polyline joins points; it breaks where a second has none.
func (c chart) polyline(b *strings.Builder, color string, y func(second) (float64, bool)) {
	var points strings.Builder
	flush := func() {
		if points.Len() > 0 {
			fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="%s"/>`+"\n", color, strings.TrimSpace(points.String()))
		}
		points.Reset()
	}
	for _, s := range c.seconds {
		at, drawn := y(s)
		if !drawn {
			flush()
			continue
		}
		fmt.Fprintf(&points, "%.1f,%.1f ", c.x(s.at), at)
	}
	flush()
}

func (c chart) drawRate(b *strings.Builder) {
	most, failed := 1, 0
	for _, s := range c.seconds {
		most, failed = max(most, s.count), failed+s.failed
	}
	top := nice(float64(most))
	y := func(n int) float64 { return rateBottom - (rateBottom-rateTop)*float64(n)/top }
	label := c.rate
	if failed > 0 {
		label += fmt.Sprintf(" (red: %d failed)", failed)
	}
	text(b, plotLeft, rateTop-8, "start", "12", label)
	for _, n := range []float64{0, top / 2, top} {
		at := rateBottom - (rateBottom-rateTop)*n/top
		line(b, plotLeft, at, plotRight, at, gridStyle)
		text(b, plotLeft-6, at+4, "end", "12", number(n))
	}
	c.polyline(b, "#009e73", func(s second) (float64, bool) { return y(s.count), true })
	for _, s := range c.seconds {
		if s.failed > 0 {
			fmt.Fprintf(b, `<circle cx="%.1f" cy="%.1f" r="3" fill="#c00"/>`+"\n", c.x(s.at), y(s.count))
		}
	}
}

// nice is the next number of the form 1, 2 or 5 times a power of ten.
func nice(most float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(most)))
	for _, n := range []float64{1, 2, 5} {
		if n*power >= most {
			return n * power
		}
	}
	return 10 * power
}

func (c chart) drawTime(b *strings.Builder) {
	step := time.Duration(nice(c.length().Seconds()/10)) * time.Second
	for at := time.Duration(0); at <= c.length(); at += max(step, time.Second) {
		text(b, c.x(at), rateBottom+16, "middle", "12", fmt.Sprintf("%d s", int(at.Seconds())))
	}
	for _, m := range c.marks {
		line(b, c.x(m.at), latencyTop, c.x(m.at), rateBottom, markStyle)
		text(b, c.x(m.at)+4, latencyTop+12, "start", "12", m.label)
	}
}

// number writes a value with as many digits as say something.
func number(v float64) string {
	switch {
	case v == math.Trunc(v) && math.Abs(v) < 1e15:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	case math.Abs(v) >= 0.1:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}
