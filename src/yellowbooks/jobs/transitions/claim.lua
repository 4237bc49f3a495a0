#!lua flags=allow-oom
-- claim: promote what is due, reap leases that expired, then lease up to `room` jobs to one worker.
-- args: worker claim kinds room lease
-- gives: jobs wait, then the payload of each job
-- emits: promoted crashed died claimed
local BATCH = 100
local BYTES = 1000000
local CRASHES = 3
local logical = logical_clock()
local claim_key = tag .. ':claim:' .. args.worker

local jobs, payloads, bytes = {}, {}, 0

local function answer(job)
  local payload = redis.call('HGET', job_key(job.id), 'payload') or ''
  jobs[#jobs + 1] = {id = job.id, kind = job.kind, token = job.token, attempt = job.attempts,
    created = job.created, uncertain = job.uncertain}
  payloads[#payloads + 1] = payload
  bytes = bytes + #payload
end

-- The reply to this claim was lost: give the same one again.
local function again(ids)
  for i, id in ipairs(ids) do
    local job = load(id)
    if holds(job, args.claim .. ':' .. i) then answer(job) end
  end
end

local function promote()
  local scores = redis.call('ZRANGE', due_key, '-inf', micros, 'BYSCORE', 'LIMIT', 0, BATCH, 'WITHSCORES')
  for i = 1, #scores, 2 do
    local job = load(scores[i])
    redis.call('ZREM', due_key, scores[i])
    if job then
      enqueue(job, scores[i + 1])
      record(job, 'promoted', 'enqueued', {})
      redis.call('HDEL', job_key(job.id), 'due')
      wake(job.kind)
    end
  end
end

-- A lease that expired is a crash, counted apart from the attempts that failed. After the commit nobody knows
-- whether the effect happened: the kind's policy decides. Three crashes are poison.
local function reap(job)
  local doubtful = job.committed == job.token
  job.attempts = job.attempts - 1
  local fields = {crashes = job.crashes + 1, uncertain = job.uncertain + (doubtful and 1 or 0)}
  if doubtful and (job.doubt == 'hold' or job.uncertain > 0) then
    return bury(job, 'uncertain: the worker was lost after its commit; see whether the effect happened, then requeue', fields)
  end
  if fields.crashes >= CRASHES then
    return bury(job, 'poison: ' .. CRASHES .. ' workers were lost while they ran this job', fields)
  end
  local error = doubtful and 'the worker was lost after its commit' or 'the worker was lost'
  enqueue(job, job.created * 1000)
  record(job, 'crashed', 'enqueued', fields, {error = error})
  redis.call('HDEL', job_key(job.id), 'token', 'committed')
  wake(job.kind)
end

local function reap_expired()
  for _, id in ipairs(redis.call('ZRANGE', leases_key, '-inf', logical, 'BYSCORE', 'LIMIT', 0, BATCH)) do
    local job = load(id)
    redis.call('ZREM', leases_key, id)
    if job and job.state == 'processing' then reap(job) end
  end
end

local ids = {}

local function lease(id, score)
  local job = load(id)
  if not job or job.state ~= 'enqueued' then return end
  if bytes > BYTES then return enqueue(job, score) end
  ids[#ids + 1] = id
  job.attempts = job.attempts + 1
  job.token = args.claim .. ':' .. #ids
  redis.call('ZADD', leases_key, logical + args.lease, id)
  record(job, 'claimed', 'processing', {token = job.token, started = now}, {worker = args.worker})
  answer(job)
end

local function take(kind, count)
  if count <= 0 then return end
  local popped = redis.call('ZPOPMIN', enqueued_key(kind), count)
  for i = 1, #popped, 2 do lease(popped[i], popped[i + 1]) end
end

-- Each kind gets its share first, so that a flood of one does not hold up another; then the rest is filled.
local function take_fairly(room)
  local share = math.ceil(room / #args.kinds)
  for _, kind in ipairs(args.kinds) do take(kind, math.min(share, room - #ids)) end
  for _, kind in ipairs(args.kinds) do take(kind, room - #ids) end
  for _, kind in ipairs(args.kinds) do
    if redis.call('ZCARD', enqueued_key(kind)) > 0 then wake(kind) end
  end
end

local last = redis.call('GET', claim_key)
last = last and cmsgpack.unpack(last)
if last and last.claim == args.claim then
  again(last.ids)
else
  promote()
  reap_expired()
  take_fairly(math.min(args.room, BATCH))
  if #ids > 0 then
    redis.call('SET', claim_key, cmsgpack.pack({claim = args.claim, ids = ids}), 'PX', args.lease)
  end
end
local next_due = redis.call('ZRANGE', due_key, 0, 0, 'WITHSCORES')[2]
local wait = next_due and math.max(0, tonumber(next_due) - micros) / 1000 or -1
return {cmsgpack.pack({jobs = jobs, wait = wait}), unpack(payloads)}
