#!lua flags=allow-oom
-- cancel: end a job that waits or runs. Whoever runs it has lost his lease: he can commit nothing, and is told at the
-- next renewal. One that has committed goes on. An id that stays in a line is passed over when its turn comes.
-- args: items
-- item: id
-- gives: cancelled | committed | ended | unknown
-- emits: cancelled
return each(function(item)
  local job = load(item.id)
  if not job then return 'unknown' end
  if job.state == 'processing' then
    if job.committed then return 'committed' end
    leave(item.id)
    vacate(job)
  elseif job.state == 'scheduled' or job.state == 'retrying' then
    call('ZREM', due_key, item.id)
  elseif job.state ~= 'enqueued' then
    return 'ended'
  end
  move(job, 'cancelled', 'cancelled')
  job.token = NONE
  end_job(job)
  return 'cancelled'
end)
