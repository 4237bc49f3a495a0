#!lua flags=allow-oom
-- renew: extend the leases of a worker; a lease that another took, or that ended, is lost.
-- args: items lease
-- item: id token
-- gives: kept | lost
-- emits:
local logical = logical_clock()
return each(function(item)
  if not holds(load(item.id), item.token) then return 'lost' end
  redis.call('ZADD', leases_key, 'XX', logical + args.lease, item.id)
  return 'kept'
end)
