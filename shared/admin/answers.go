package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/atlhyper/observe/shared/build"
)

func buildInfo(w http.ResponseWriter, _ *http.Request) { answer(w, build.Read()) }

// levelBody is what /loglevel takes and returns.
type levelBody struct {
	// Level is debug, info, warn or error, in any case.
	Level *slog.Level `json:"level"`
}

// logLevel shows and changes the level of the log.
type logLevel struct {
	level  *slog.LevelVar
	logger *slog.Logger
}

func (l logLevel) get(w http.ResponseWriter, _ *http.Request) {
	level := l.level.Level()
	answer(w, levelBody{&level})
}

func (l logLevel) put(w http.ResponseWriter, r *http.Request) {
	body, err := decodeLevel(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	before := l.level.Level()
	// Said at the more talkative of the two, so that the log shows where it changed.
	if *body.Level > before {
		l.say(r, before, *body.Level)
	}
	l.level.Set(*body.Level)
	if *body.Level <= before {
		l.say(r, before, *body.Level)
	}
	answer(w, body)
}

func (l logLevel) say(r *http.Request, before, after slog.Level) {
	l.logger.WarnContext(r.Context(), "the log level was changed", "from", before, "to", after)
}

// maxLevelBody bounds the body of a PUT, in bytes.
const maxLevelBody = 1 << 10

func decodeLevel(from io.Reader) (levelBody, error) {
	var body levelBody
	text, err := io.ReadAll(io.LimitReader(from, maxLevelBody+1))
	if err != nil {
		return body, fmt.Errorf("body: %w", err)
	}
	if len(text) > maxLevelBody {
		return body, fmt.Errorf("body: is longer than %d bytes", maxLevelBody)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	wrong := errors.New(`body: want {"level":"debug"}, or info, warn, error`)
	if err := decoder.Decode(&body); err != nil || body.Level == nil || decoder.More() {
		return body, wrong
	}
	switch *body.Level {
	case slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError:
		return body, nil
	}
	return body, wrong
}

// answer writes JSON. A caller that went away hears nothing.
func answer(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, "the answer cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(append(text, '\n')); err != nil {
		return
	}
}
