package dashboard_test

import (
	"bytes"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
)

func newAnswer(t *testing.T, body []byte) *dashboard.Answer {
	t.Helper()
	c, err := compress.New()
	if err != nil {
		t.Fatal(err)
	}
	return dashboard.NewAnswer(dashboard.Content{Body: body, ETag: "7-abc"}, c)
}

func TestFormsAreMadeOnce(t *testing.T) {
	t.Parallel()
	a := newAnswer(t, bytes.Repeat([]byte("telemetry "), 10_000))
	if len(a.Made()) != 0 || a.Bytes() < 100_000 {
		t.Errorf("at first: made %v, %d bytes", a.Made(), a.Bytes())
	}
	plain := a.Bytes()
	var all sync.WaitGroup
	forms := make([]*dashboard.Form, 20)
	for i := range forms {
		all.Go(func() {
			var err error
			if forms[i], err = a.Form(compress.Zstd); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, form := range forms[1:] {
		if form != forms[0] {
			t.Fatal("a caller got a form of its own")
		}
	}
	if diff := cmp.Diff([]compress.Encoding{compress.Zstd}, a.Made()); diff != "" {
		t.Errorf("made: -want +got\n%s", diff)
	}
	if grown := a.Bytes() - plain; grown < int64(len(forms[0].Body)) || grown > 2*int64(len(forms[0].Body))+64 {
		t.Errorf("grew by %d bytes for a form of %d", grown, len(forms[0].Body))
	}
}

func TestHeadersOfForms(t *testing.T) {
	t.Parallel()
	large, small := newAnswer(t, bytes.Repeat([]byte("x"), compress.MinSize)), newAnswer(t, []byte("{}"))
	for enc := range compress.Encoding(compress.Encodings) {
		wantTag, wantEncoding := `"7-abc"`, []string(nil)
		if enc != compress.Identity {
			wantTag, wantEncoding = `"7-abc-`+enc.String()+`"`, []string{enc.String()}
		}
		form, err := large.Form(enc)
		if err != nil {
			t.Fatal(err)
		}
		want := &dashboard.Form{
			Body: form.Body, ETag: []string{wantTag},
			ContentLength: []string{strconv.Itoa(len(form.Body))}, ContentEncoding: wantEncoding,
		}
		if diff := cmp.Diff(want, form); diff != "" || large.Tag(enc)[0] != wantTag {
			t.Errorf("%s: tag %v, -want +got\n%s", enc, large.Tag(enc), diff)
		}
		// What isn't worth compressing has one form.
		form, err = small.Form(enc)
		if err != nil || string(form.Body) != "{}" || form.ContentEncoding != nil || strings.Contains(small.Tag(enc)[0], "-gzip") ||
			form.ETag[0] != small.Tag(enc)[0] {
			t.Errorf("%s of a small body: %+v, tag %v, %v", enc, form, small.Tag(enc), err)
		}
	}
}

func TestReadyFormsAllocateNothing(t *testing.T) {
	a := newAnswer(t, bytes.Repeat([]byte("x"), 10_000))
	n := testing.AllocsPerRun(100, func() {
		if _, err := a.Form(compress.Gzip); err != nil {
			t.Error(err)
		}
		a.Tag(compress.Gzip)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
