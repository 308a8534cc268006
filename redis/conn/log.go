package conn

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LibraryLog sends what the Redis library prints (to stderr, a line for each try
// to connect) to logger's debug level. It is for main: the library has one
// logger for the process.
func LibraryLog(logger *slog.Logger) { redis.SetLogger(libraryLog{logger}) }

type libraryLog struct{ logger *slog.Logger }

// Printf implements the library's logger.
func (l libraryLog) Printf(ctx context.Context, format string, v ...any) {
	l.logger.DebugContext(ctx, "Redis library", "says", fmt.Sprintf(format, v...))
}
