#!lua flags=allow-oom
-- release: give back a job that was leased and not begun; it goes to the front and no attempt is spent.
-- args: items
-- item: id token
-- gives: released | stale
-- emits: released
return each(function(item)
  local job = load(item.id)
  if not holds(job, item.token) or job.committed == item.token then return 'stale' end
  redis.call('ZREM', leases_key, item.id)
  job.attempts = job.attempts - 1
  enqueue(job, job.created * 1000)
  record(job, 'released', 'enqueued', {})
  redis.call('HDEL', job_key(job.id), 'token')
  wake(job.kind)
  return 'released'
end)
