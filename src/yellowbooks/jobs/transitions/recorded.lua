#!lua flags=allow-oom
-- recorded: the job log has every event up to `position`: trim them, and forget jobs whose retention is over.
-- args: position retention dead_retention
-- gives: forgotten
-- emits:
local BATCH = 100
local recorded_at, recorded_seq = string.match(args.position, '^(%d+)-(%d+)$')
recorded_at, recorded_seq = tonumber(recorded_at), tonumber(recorded_seq)
call('XTRIM', events_key, 'MINID', string.format('%.0f-%.0f', recorded_at, recorded_seq + 1))

local function forget(id, job)
  if job then remember_seen(job) end
  call('UNLINK', job_prefix .. id, story_prefix .. id)
end

-- A job leaves only when its last event is in the log, whatever the clock says.
local function may_go(job, retention)
  local recorded = job.at < recorded_at or (job.at == recorded_at and job.seq <= recorded_seq)
  return recorded and job.at <= now - retention
end

local forgotten = 0
for _, id in ipairs(call('LRANGE', ended_key, 0, BATCH - 1)) do
  local job = load(id)
  if job and not may_go(job, args.retention) then break end
  call('LPOP', ended_key)
  if job then forget(id, job) end
  forgotten = forgotten + 1
end
local until_place = (now - args.dead_retention) * 2048
for _, id in ipairs(call('ZRANGE', dead_key, '-inf', until_place, 'BYSCORE', 'LIMIT', 0, BATCH)) do
  local job = load(id)
  if not job or may_go(job, args.dead_retention) then
    leave_dead(id)
    if job then forget(id, job) end
    forgotten = forgotten + 1
  end
end

local drawer = math.floor(logical / DRAWER)
for n = drawer - 10, drawer - 3 do call('UNLINK', tag .. ':seen:' .. n) end
finish()
return cmsgpack.pack(forgotten)
