#!lua flags=allow-oom
-- release: give back a job that was leased and not begun; it goes to the front and no attempt is spent.
-- args: items
-- item: id token
-- gives: released | stale
-- emits: released
return each(function(item)
  local job = load(item.id)
  if not holds(job, item.token) or job.committed then return 'stale' end
  leave(item.id)
  vacate(job)
  enqueue_first(job)
  job.attempt, job.attempts = job.attempts, job.attempts - 1
  move(job, 'enqueued', 'released')
  job.token = NONE
  save(job)
  return 'released'
end)
