#!lua flags=allow-oom
-- commit: the point of no return: the worker is about to do what cannot be undone. Only the token's holder may.
-- args: items lease
-- item: id token
-- gives: committed | lost
-- emits:
return each(function(item)
  local job = load(item.id)
  if not holds(job, item.token) then return 'lost' end
  call('ZADD', leases_key, 'XX', logical + args.lease, item.id)
  job.committed = true
  save(job)
  return 'committed'
end)
