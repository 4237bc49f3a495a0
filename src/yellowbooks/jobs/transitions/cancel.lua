#!lua flags=allow-oom
-- cancel: end a job that waits; one that runs or has ended stays as it is.
-- args: items
-- item: id
-- gives: cancelled | processing | ended | unknown
-- emits: cancelled
return each(function(item)
  local job = load(item.id)
  if not job then return 'unknown' end
  if job.state == 'processing' then return 'processing' end
  if job.state == 'enqueued' then
    redis.call('ZREM', enqueued_key(job.kind), item.id)
  elseif job.state == 'scheduled' or job.state == 'retrying' then
    redis.call('ZREM', due_key, item.id)
  else
    return 'ended'
  end
  end_job(job, 'cancelled', 'cancelled', {})
  return 'cancelled'
end)
