#!lua
-- requeue: give a dead job a new generation, with all its attempts before it.
-- args: items
-- item: id
-- gives: requeued | not_dead | unknown
-- emits: requeued
return each(function(item)
  local job = load(item.id)
  if not job then return 'unknown' end
  if job.state ~= 'dead' then return 'not_dead' end
  redis.call('ZREM', dead_key, item.id)
  job.attempts = 0
  enqueue(job, place())
  record(job, 'requeued', 'enqueued', {crashes = 0, uncertain = 0, generation = job.generation + 1})
  redis.call('HDEL', job_key(job.id), 'error', 'ended', 'started', 'settled')
  wake(job.kind)
  return 'requeued'
end)
