-- prelude: what every transition shares: the key map, the clock, the fence and the event.
--
-- Every key begins with one tag, {yb:<queue>}, so that all of them live on one node of a cluster:
--   <tag>:job:<id>         hash    the record of a job
--   <tag>:enqueued:<kind>  zset    ids that may run now, by place: first in, first out
--   <tag>:wake:<kind>      list    at most one token; an idle worker blocks on it
--   <tag>:due              zset    ids of scheduled and retrying jobs, by the time they may run (us)
--   <tag>:leases           zset    ids of processing jobs, by the end of the lease (logical ms)
--   <tag>:dead             zset    ids of dead jobs, by place
--   <tag>:ended            zset    ids of completed and cancelled jobs, by place
--   <tag>:seen:<drawer>    hash    id -> fingerprint, logical time and nonce of the request that brought it
--   <tag>:rate:<bucket>    list    times (ms) of the newest admissions under one rate limit
--   <tag>:claim:<worker>   string  the worker's last claim, so that a lost reply can be given again
--   <tag>:events           stream  one entry a transition, until the job log has it
--   <tag>:seat             string  which recorder writes the job log
--   <tag>:clock            hash    the wall clock last seen and the logical clock (ms)
local tag = KEYS[1]
local args = cmsgpack.unpack(ARGV[1])

local due_key, leases_key, dead_key = tag .. ':due', tag .. ':leases', tag .. ':dead'
local ended_key, events_key, clock_key = tag .. ':ended', tag .. ':events', tag .. ':clock'

local function job_key(id) return tag .. ':job:' .. id end
local function enqueued_key(kind) return tag .. ':enqueued:' .. kind end

local time = redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(micros / 1000)

-- A place is a score that no other job of this call has and that grows with time: an order of arrival.
local places = 0
local function place()
  places = places + 1
  return micros + places
end

-- The logical clock (ms) takes at most 3 s a step and never goes back, so that neither a jump of the wall clock
-- nor an outage lets a living worker's lease or a record of a seen id expire.
local STEP = 3000
local function logical_clock()
  local last = redis.call('HMGET', clock_key, 'wall', 'logical')
  local logical = tonumber(last[2]) or 0
  local step = now - (tonumber(last[1]) or now)
  logical = logical + math.max(0, math.min(step, STEP))
  redis.call('HSET', clock_key, 'wall', now, 'logical', logical)
  return logical
end

local FIELDS = {'kind', 'state', 'token', 'attempts', 'max_attempts', 'crashes', 'uncertain', 'doubt',
  'committed', 'settled', 'created', 'generation', 'history'}
local COUNTS = {attempts = true, max_attempts = true, crashes = true, uncertain = true, created = true,
  generation = true}

-- The record of a job, or nil where there is none.
local function load(id)
  local values = redis.call('HMGET', job_key(id), unpack(FIELDS))
  if not values[1] or not values[2] then return nil end
  local job = {id = id}
  for i, field in ipairs(FIELDS) do
    local value = values[i] or nil
    job[field] = COUNTS[field] and (tonumber(value) or 0) or value
  end
  return job
end

-- The fence: only the holder of the token may go on with a job.
local function holds(job, token)
  return job and job.state == 'processing' and job.token == token
end

-- Every transition ends here: the new state and fields, the history and the event are written as one.
-- An ordinary admission is not in the history, as a waiting job should be small; `created` tells it.
local HISTORY = 16384
local function record(job, name, state, fields, seen)
  local event = {job = job.id, name = name, at = now, kind = job.kind, state = state, attempt = job.attempts,
    max_attempts = job.max_attempts}
  for key, value in pairs(seen or {}) do event[key] = value end
  local packed = cmsgpack.pack(event)
  local history = job.history or ''
  local write = {'state', state, 'attempts', job.attempts}
  if state .. name ~= 'enqueuedadmitted' and #history + #packed <= HISTORY then
    job.history = history .. struct.pack('>I2', #packed) .. packed
    write[#write + 1] = 'history'
    write[#write + 1] = job.history
  end
  for key, value in pairs(fields) do
    write[#write + 1] = key
    write[#write + 1] = value
  end
  job.state = state
  local position = redis.call('XADD', events_key, '*', 'e', packed)
  redis.call('HSET', job_key(job.id), unpack(write))
  return position
end

-- Wake one idle worker of the kind; it wakes the next one where it leaves work behind.
local function wake(kind)
  local key = tag .. ':wake:' .. kind
  if redis.call('LLEN', key) == 0 then redis.call('LPUSH', key, '1') end
end

local function enqueue(job, score)
  redis.call('ZADD', enqueued_key(job.kind), score, job.id)
end

-- A job that ended keeps its story and loses its payload, in which the personal data is.
local function end_job(job, name, state, fields)
  redis.call('ZADD', ended_key, place(), job.id)
  fields.ended = now
  local position = record(job, name, state, fields)
  redis.call('HSET', job_key(job.id), 'last_event', position)
  redis.call('HDEL', job_key(job.id), 'payload', 'token', 'committed', 'due')
end

local function bury(job, error, fields)
  redis.call('ZADD', dead_key, place(), job.id)
  fields.ended = now
  fields.error = error
  record(job, 'died', 'dead', fields, {error = error})
  redis.call('HDEL', job_key(job.id), 'token', 'committed', 'due')
end

-- One answer an item, in the order of the items.
local function each(answer)
  local answers = {}
  for i, item in ipairs(args.items) do answers[i] = answer(item, i) end
  return cmsgpack.pack(answers)
end
