#!lua flags=allow-oom
-- renew: a worker is alive: it extends its leases and says which kinds it knows. A lease that ended is lost.
-- args: items lease worker kinds about idle capacity
-- item: id token
-- gives: kept | lost
-- emits:
local SILENT = 3 * args.lease
local workers_key = tag .. ':workers'
if args.about then
  call('HSET', workers_key, args.worker, cmsgpack.pack({kinds = args.kinds, about = args.about,
    idle = args.idle, capacity = args.capacity, seen = logical}))
  local all = call('HGETALL', workers_key)
  for n = 1, #all, 2 do
    local worker = unpacked(all[n + 1])
    if not worker or logical - worker.seen > SILENT then call('HDEL', workers_key, all[n]) end
  end
end

return each(function(item)
  if not holds(load(item.id), item.token) then return 'lost' end
  call('ZADD', leases_key, 'XX', logical + args.lease, item.id)
  return 'kept'
end)
