#!lua flags=allow-oom
-- discard: end a dead job for good; its payload is dropped, its story stays.
-- args: items
-- item: id
-- gives: discarded | not_dead | unknown
-- emits: discarded
return each(function(item)
  local job = load(item.id)
  if not job then return 'unknown' end
  if job.state ~= 'dead' then return 'not_dead' end
  leave_dead(item.id)
  move(job, 'cancelled', 'discarded')
  end_job(job)
  return 'discarded'
end)
