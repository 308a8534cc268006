package snapshot

import (
	"context"
	"fmt"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
)

// healthLua reads how one cluster does: what hashesLua reads, but of meta only what says
// when each section was collected, and whether that failed; and how long its queue is.
//
//	KEYS[1] agents  KEYS[2] meta  KEYS[3] snapshot  KEYS[4] commands
//	ARGV    most fields and most bytes of a hash, most sections
//	result  agents as of whole, some of meta as HGETALL has it or a text, the number of
//	        the snapshot's fields or a text, the length of the queue, -1 when it is no list
//
// The error of a section is '1' there, whatever it says.
const healthLua = boundedLua + `
local fields, bytes, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local function health()
  local n = fields_of(KEYS[2])
  if type(n) ~= 'number' then return n end
  local names, out = {'schema', 'seq', 'at', 'interval', 'sections'}, {}
  local sum = length(KEYS[2], names)
  if sum > bytes then return string.format('%.0f bytes are more than %.0f', sum, bytes) end
  local head = redis.call('HMGET', KEYS[2], unpack(names))
  for i = 1, 4 do
    if head[i] then out[#out + 1] = names[i]; out[#out + 1] = head[i] end
  end
  local at = {}
  for name in string.gmatch(head[5] or '', '%S+') do
    if #at == most then return string.format('there are more than %.0f sections', most) end
    at[#at + 1] = name .. '.at'
    if redis.call('HSTRLEN', KEYS[2], name .. '.error') > 0 then out[#out + 1] = name .. '.error'; out[#out + 1] = '1' end
  end
  sum = length(KEYS[2], at)
  if sum > bytes then return string.format('%.0f bytes are more than %.0f', sum, bytes) end
  if #at > 0 then
    for i, value in ipairs(redis.call('HMGET', KEYS[2], unpack(at))) do
      if value then out[#out + 1] = at[i]; out[#out + 1] = value end
    end
  end
  return out
end
local queue = redis.pcall('LLEN', KEYS[4])
if type(queue) ~= 'number' then queue = -1 end
return {whole(KEYS[1], fields, bytes), health(), fields_of(KEYS[3]), queue}
`

// Health is Clusters for who watches over all of them, of the first most by id; left is
// how many there are besides. Of a section it knows only At, Age and that there is an
// Error; Queue is filled in. It costs Redis a fraction of what Clusters does.
func (r *Reader) Health(ctx context.Context, most int) (infos []ClusterInfo, left int, err error) {
	return r.clusters(ctx, most, r.readHealth)
}

// readHealth is read by healthLua.
func (r *Reader) readHealth(ctx context.Context, ids []key.Cluster) ([]ClusterInfo, []error) {
	ctx, cancel := r.forOneServer(ctx)
	defer cancel()
	calls := make([]conn.Call, len(ids))
	for i, c := range ids {
		calls[i] = conn.Call{
			Keys: []string{c.Agents(), c.Meta(), c.Snapshot(), c.Commands()}, Args: []any{maxHashFields, maxHashBytes, maxSections},
		}
	}
	infos, failed := make([]ClusterInfo, len(ids)), make([]error, len(ids))
	for i, answer := range r.healthOf.RunAll(ctx, r.clients.Normal, calls) {
		err := answer.Err
		if err == nil {
			infos[i], err = r.parseHealth(ctx, ids[i], answer.Value)
		}
		if err != nil {
			failed[i] = fmt.Errorf("read clusters: %w", err)
		}
	}
	return infos, failed
}

// parseHealth reads the answer of healthLua about one cluster.
func (r *Reader) parseHealth(ctx context.Context, c key.Cluster, answer any) (ClusterInfo, error) {
	list, ok := answer.([]any)
	if !ok || len(list) != 4 {
		return ClusterInfo{}, fmt.Errorf("script: want a list of 4, got %T", answer)
	}
	info, err := r.parse(ctx, c, list[:3])
	if err != nil {
		return ClusterInfo{}, err
	}
	if info.Queue, ok = list[3].(int64); !ok {
		return ClusterInfo{}, fmt.Errorf("script: want the length of a list, got %T", list[3])
	}
	return info, nil
}
