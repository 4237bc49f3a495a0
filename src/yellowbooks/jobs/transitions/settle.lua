#!lua flags=allow-oom
-- settle: end one attempt as completed, retry or dead. Only the token's holder may; told twice, it is done once.
-- args: items
-- item: id token outcome delay error uncertain
-- gives: settled | already | stale
-- emits: completed retried died
local function retry(job, item)
  local due = now + item.delay
  redis.call('ZADD', due_key, micros + item.delay * 1000, job.id)
  record(job, 'retried', 'retrying', {settled = item.token, due = due, error = item.error,
    uncertain = job.uncertain + (item.uncertain and 1 or 0)}, {due = due, error = item.error})
  redis.call('HDEL', job_key(job.id), 'token', 'committed')
end

return each(function(item)
  local job = load(item.id)
  if not holds(job, item.token) then
    return job and job.settled == item.token and 'already' or 'stale'
  end
  redis.call('ZREM', leases_key, item.id)
  if item.outcome == 'completed' then
    end_job(job, 'completed', 'completed', {settled = item.token})
    redis.call('HDEL', job_key(job.id), 'error')
  elseif item.outcome == 'retry' then
    retry(job, item)
  else
    bury(job, item.error, {settled = item.token})
  end
  return 'settled'
end)
