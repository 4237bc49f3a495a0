#!lua flags=allow-oom
-- shed: what waits for a job log that is away is bounded. The oldest events go first, as the jobs' own records say the
-- same; then ended jobs whose retention is over. The payload of what died too long ago goes in any case.
-- args: bytes retention dead_retention
-- gives: entries jobs payloads
-- emits:
local BATCH = 1000
local JOB_BYTES = 240 -- of an ended job: record, key and place in the list, measured
local shed_key = tag .. ':shed'

local function overdue(id)
  local job = id and load(id)
  return not job or job.at <= now - args.retention
end

-- Ended jobs stand in the order of their ends: those that stay for the log alone are the first ones.
local function waiting_for_log()
  local low, high = 0, call('LLEN', ended_key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if overdue(call('LINDEX', ended_key, middle)) then low = middle + 1 else high = middle end
  end
  return low
end

local entries, jobs, payloads = 0, 0, 0
local length = call('XLEN', events_key)
local used = length > 0 and call('MEMORY', 'USAGE', events_key) or 0
local kept = overdue(call('LINDEX', ended_key, 0)) and waiting_for_log() or 0
local over = used + kept * JOB_BYTES - args.bytes
if over > 0 and length > 0 then
  entries = call('XTRIM', events_key, 'MAXLEN', '~', math.floor(length * math.max(0, used - over) / used),
    'LIMIT', 0)
  over = over - used
end
if over > 0 then
  for _ = 1, math.min(BATCH, kept, math.ceil(over / JOB_BYTES)) do
    local id = call('LPOP', ended_key)
    local job = load(id)
    if job then
      remember_seen(job)
      call('UNLINK', job_prefix .. id, story_prefix .. id)
      jobs = jobs + 1
    end
  end
end

local stripped = tonumber(call('HGET', shed_key, 'stripped') or nil) or 0
local until_place = (now - args.dead_retention) * 2048
for _, id in ipairs(call('ZRANGE', dead_key, string.format('(%.0f', stripped), until_place, 'BYSCORE', 'LIMIT', 0, BATCH)) do
  local job = load(id)
  stripped = tonumber(call('ZSCORE', dead_key, id))
  if job and call('STRLEN', job_prefix .. id) >= job.ends then
    call('SET', job_prefix .. id, sub(job.raw, 1, job.ends - 1))
    payloads = payloads + 1
  end
end

if entries > 0 then call('HINCRBY', shed_key, 'entries', entries) end
if jobs > 0 then call('HINCRBY', shed_key, 'jobs', jobs) end
if payloads > 0 then
  call('HINCRBY', shed_key, 'payloads', payloads)
  call('HSET', shed_key, 'stripped', string.format('%.0f', stripped))
end
return cmsgpack.pack({entries, jobs, payloads})
