#!lua flags=allow-oom
-- recorded: the job log has every event up to `position`: trim them, and forget ended jobs whose retention is over.
-- args: position retention
-- gives: forgotten
-- emits:
local BATCH = 100
local function parts(position)
  local ms, seq = string.match(position, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local recorded_ms, recorded_seq = parts(args.position)
redis.call('XTRIM', events_key, 'MINID', string.format('%.0f-%.0f', recorded_ms, recorded_seq + 1))

-- A job leaves only when its last event is in the log, whatever the clock says.
local forgotten = 0
local old = redis.call('ZRANGE', ended_key, '-inf', micros - args.retention * 1000, 'BYSCORE', 'LIMIT', 0, BATCH)
for _, id in ipairs(old) do
  local ms, seq = parts(redis.call('HGET', job_key(id), 'last_event') or '0-0')
  if ms < recorded_ms or (ms == recorded_ms and seq <= recorded_seq) then
    redis.call('ZREM', ended_key, id)
    redis.call('UNLINK', job_key(id))
    forgotten = forgotten + 1
  end
end

local drawer = math.floor((tonumber(redis.call('HGET', clock_key, 'logical') or nil) or 0) / (3.5 * 24 * 3600 * 1000))
for n = drawer - 10, drawer - 3 do
  if n >= 0 then redis.call('UNLINK', tag .. ':seen:' .. n) end
end
return cmsgpack.pack(forgotten)
