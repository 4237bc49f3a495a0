#!lua flags=allow-oom
-- note: a line or a progress from the attempt that runs; it stands in the job's history and in its log.
-- args: items
-- item: id token text progress
-- gives: noted | lost
-- emits: noted
return each(function(item)
  local job = load(item.id)
  if not holds(job, item.token) then return 'lost' end
  local more = {note = item.text, progress = item.progress}
  job.at, job.seq = at, tell('noted', job.kind, job.state, job.id, job.attempts, job.max_attempts, more)
  remember_claim(job)
  remember(job, 'noted', at, job.state, job.attempts, more)
  save(job)
  return 'noted'
end)
