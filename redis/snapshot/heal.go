package snapshot

import (
	"context"
	"strings"
)

// healLua deletes those of a script's keys that are no hash, as a publish deletes
// another layout: else every publish or beat failed until somebody else did. It
// defines healed: their names, apart by spaces.
const healLua = `
local healed = ''
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key)['ok']
  if kind ~= 'none' and kind ~= 'hash' then
    redis.call('DEL', key)
    healed = healed .. ' ' .. key
  end
end
`

// reportHealed logs what the script deleted, which stands last in its result.
func (w *Writer) reportHealed(ctx context.Context, result any) {
	list, _ := result.([]any)
	if len(list) == 0 {
		return
	}
	if keys, _ := list[len(list)-1].(string); keys != "" {
		w.cfg.Logger.WarnContext(ctx, "deleted what another program wrote in place of a hash", "keys", strings.TrimSpace(keys))
	}
}
