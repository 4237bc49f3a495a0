#!lua
-- edit: give a dead job another payload, to be requeued. Its id, its counts and its story stay.
-- args: items
-- item: id by found
-- payloads: the new body of each record
-- gives: edited | not_dead | unknown
-- emits: edited
return each(function(item, i)
  local job = load(item.id)
  if not job then return 'unknown' end
  if job.state ~= 'dead' then return 'not_dead' end
  move(job, 'dead', 'edited', {by = item.by, found = item.found})
  call('SET', job_prefix .. job.id, head(job) .. ARGV[i + 1])
  call('ZADD', dead_key, 'XX', place_of(job), job.id)
  local fingerprint = string.match(call('HGET', died_key, job.id) or '', ' (.+)$')
  if fingerprint then join_group(job.id, place_of(job), fingerprint) end
  return 'edited'
end)
