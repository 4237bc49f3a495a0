#!lua flags=allow-oom
-- settle: end attempts as completed, retry or dead. Only a token's holder may; told twice, it is done once. `ids` and
-- `tokens` go side by side with `others`, which has null where the attempt completed: most do, and lists of words are
-- read in a third of the time of tables. `words` has what the completed say of themselves; it may be empty.
-- args: ids tokens others words channels pace release
-- item: outcome delay error cause uncertain spent hold probe trace
-- gives: settled | already | stale
-- emits: completed retried deferred died
local gated = call('EXISTS', gates_key) == 1

local function retry(job, item)
  local name = item.spent and 'retried' or 'deferred'
  job.attempt = job.attempts
  if not item.spent then job.attempts = job.attempts - 1 end
  if item.uncertain then job.uncertain = job.uncertain + 1 end
  move(job, 'retrying', name, {due = now + (item.delay or 0), error = item.error or '', cause = item.cause or '',
    release = args.release}, item.trace)
  job.committed = false
  call('ZADD', due_key, micros + (item.delay or 0) * 1000, job.id)
  save(job)
end

-- A handler found its channel unusable: nobody else need spend an attempt on finding that out.
local function hold(channel, item)
  local gate = gate_of(channel)
  if gate and not gate.pace then return end
  call('HSET', gates_key, channel, cmsgpack.pack({by = 'breaker', reason = item.error, since = now, probe = item.probe,
    next = now + item.probe}))
  gated = true
end

local function fail(job, token, other)
  vacate(job)
  if other.outcome == 'retry' then
    retry(job, other)
  else
    job.attempt = job.attempts
    bury(job, other.error or '', other.cause or '', token, args.release, other.trace)
  end
  if other.hold then hold(other.hold, other) end
end

-- A probe came through: what a breaker held leaves at a pace that doubles in so many ms, so that whoever was away is met
-- by a few, then by more, and by none if he breaks down again.
local DOUBLES = 10000
local function open(channel)
  local gate = gate_of(channel)
  if gate and gate.by == 'breaker' then call('HSET', gates_key, channel, cmsgpack.pack({pace = args.pace, since = now,
    doubles = DOUBLES})) end
end

-- Records are read together and, where they end in the ordinary way, written together: a command a job costs more
-- than what it does. `fresh` has what an earlier item of this call made of a record.
local keys, writes, fresh = {}, {}, {}
for i, id in ipairs(args.ids) do keys[i] = job_prefix .. id end
local raws = #keys > 0 and call('MGET', unpack(keys)) or {}

-- The ordinary end: a completed job is the head and the fixed part of the body of what it was.
local completed = char(VERSION, NUMBERS.completed)
local ended_at = pack('>I6', at)
local function complete(id, key, raw, words)
  local attempts, marks = byte(raw, 3, 4)
  local most, flags, kind_size = byte(raw, MAX_AT, KIND_AT)
  local account_at = KIND_AT + kind_size + 1
  local nonce_at = account_at + byte(raw, account_at) + 1
  local kind = sub(raw, KIND_AT + 1, account_at - 1)
  if flags >= EXCLUSIVE then vacate(parse(id, raw)) end
  local more = words and words ~= '' and {note = words} or nil
  local position = tell('completed', kind, 'completed', id, attempts, most, more)
  local record = completed .. char(attempts, marks - marks % 2) .. sub(raw, 5, 26) .. ended_at .. pack('>I4', position)
    .. sub(raw, FRONT_SIZE + 1, nonce_at + byte(raw, nonce_at))
  writes[#writes + 1] = key
  writes[#writes + 1] = record
  fresh[id] = record
  ended[#ended + 1] = id
  if gated then open(args.channels[kind] or kind) end
end

local function ours(raw, token)
  if not raw then return false end
  local version, state = byte(raw, 1, 2)
  return version == VERSION and state == NUMBERS.processing
    and sub(raw, 5, 20) == token
end

local function settle(id, token, other, i)
  local raw = fresh[id] or raws[i]
  if not ours(raw, token) then
    local job = parse(id, raw)
    return job and job.state ~= 'processing' and job.token == token and 'already' or 'stale'
  end
  leave(id)
  if other then
    fail(parse(id, raw), token, other)
    fresh[id] = call('GET', keys[i])
  else
    complete(id, keys[i], raw, args.words[i])
  end
  return 'settled'
end

local answers = {}
for i, id in ipairs(args.ids) do answers[i] = settle(id, args.tokens[i], args.others[i], i) end
if #writes > 0 then call('MSET', unpack(writes)) end
finish()
return cmsgpack.pack(answers)
