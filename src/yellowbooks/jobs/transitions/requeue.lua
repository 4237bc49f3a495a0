#!lua
-- requeue: give a dead job a new generation, with all its attempts before it; `by` is kept in its history.
-- args: items
-- item: id delay by
-- gives: requeued | not_dead | unknown
-- emits: requeued
return each(function(item)
  local job = load(item.id)
  if not job then return 'unknown' end
  if job.state ~= 'dead' then return 'not_dead' end
  leave_dead(item.id)
  job.attempts, job.crashes, job.uncertain, job.generation = 0, 0, 0, job.generation + 1
  job.started, job.token = 0, NONE
  if item.delay then
    call('ZADD', due_key, micros + item.delay * 1000, job.id)
    move(job, 'scheduled', 'requeued', {due = now + item.delay, by = item.by})
  else
    enqueue_next(job)
    move(job, 'enqueued', 'requeued', {by = item.by})
  end
  save(job)
  return 'requeued'
end)
