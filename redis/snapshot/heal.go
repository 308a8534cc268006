package snapshot

import (
	"context"
	"strings"
)

// healLua counts the fields of a script's keys and deletes those that are no hash, as
// a publish deletes another layout: else every publish or beat failed until somebody
// else did. It defines fields, the number for each key, and healed: the names of those
// that it deleted, apart by spaces.
const healLua = `
local healed, fields = '', {}
for i, key in ipairs(KEYS) do
  local n = redis.pcall('HLEN', key)
  if type(n) == 'table' then
    if not string.find(n.err, 'WRONGTYPE', 1, true) then return n end
    redis.call('DEL', key)
    healed, n = healed .. ' ' .. key, 0
  end
  fields[i] = n
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
