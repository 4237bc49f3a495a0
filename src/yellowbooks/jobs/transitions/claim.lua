#!lua flags=allow-oom
-- claim: promote what is due, reap leases that expired, then lease up to `room` jobs to one worker.
-- args: worker claim kinds room lease
-- kind: name channel limit window
-- gives: wait now, then the id and the record of each job
-- emits: promoted crashed died claimed
local BATCH = 100
local BYTES = 1000000
local CRASHES = 3
local ROUNDS = 1000
local FIRST = 10
local claim_key = tag .. ':claim:' .. args.worker

local reply, bytes = {''}, 0
local function answer(id, record)
  reply[#reply + 1] = id
  reply[#reply + 1] = record
  bytes = bytes + #record
end

local function token_of(n)
  local ones = (n - 1) % 10
  return args.claim .. char(48 + (n - 1 - ones) / 10, 48 + ones)
end

-- The reply to this claim was lost: give the same one again.
local function again(ids)
  for i, id in ipairs(ids) do
    local record = try('GET', job_prefix .. id)
    if holds(parse(id, record), token_of(i)) then answer(id, record) end
  end
end

-- A record that cannot be read is put aside with the reason, and the loop goes on.
local function quarantine(id, raw)
  if raw == '' or raw == false then return end
  local why = type(raw) == 'string' and 'version ' .. byte(raw) .. ' or its layout is not known' or 'it is no string'
  call('HSET', tag .. ':quarantine', id, why)
end

local function promote()
  for _, id in ipairs(call('ZRANGE', due_key, '-inf', micros, 'BYSCORE', 'LIMIT', 0, BATCH)) do
    local job = load(id)
    call('ZREM', due_key, id)
    if job and (job.state == 'scheduled' or job.state == 'retrying') then
      enqueue_next(job)
      move(job, 'enqueued', 'promoted')
      save(job)
    elseif not job then
      quarantine(id, try('GETRANGE', job_prefix .. id, 0, 0))
    end
  end
end

-- A lease that expired is a crash, counted apart from the attempts that failed. After the commit nobody knows
-- whether the effect happened: the kind's policy decides. Three crashes are poison.
local function reap(job)
  local doubtful = job.committed
  local before = job.uncertain
  job.attempt = job.attempts
  job.attempts, job.crashes = job.attempts - 1, job.crashes + 1
  job.uncertain = before + (doubtful and 1 or 0)
  vacate(job)
  if doubtful and (job.hold or before > 0) then
    return bury(job, 'uncertain: the worker was lost after its commit; see whether the effect happened, then requeue', 'uncertain')
  end
  if job.crashes >= CRASHES then
    return bury(job, 'poison: ' .. CRASHES .. ' workers were lost while they ran this job', 'poison')
  end
  enqueue_first(job)
  move(job, 'enqueued', 'crashed', {error = doubtful and 'the worker was lost after its commit' or 'the worker was lost'})
  job.token, job.committed = NONE, false
  save(job)
end

local function reap_expired()
  for _, id in ipairs(call('ZRANGE', leases_key, '-inf', logical, 'BYSCORE', 'LIMIT', 0, BATCH)) do
    local job = load(id)
    call('ZREM', leases_key, id)
    if job and job.state == 'processing' then
      reap(job)
    elseif not job then
      quarantine(id, try('GETRANGE', job_prefix .. id, 0, 0))
    end
  end
end

local ids, leases, leased = {}, {}, {}
local lease_ends = string.format('%.0f', logical + args.lease)
local began = pack('>I6I6', at, at)
local claimed = char(VERSION, NUMBERS.processing)

-- One job of an exclusive key runs at a time; the others stand behind it.
local function stands_behind(id, raw)
  local job = parse(id, raw)
  local key = running_key(job)
  if call('HSETNX', tag .. ':running', key, id) == 1 or call('HGET', tag .. ':running', key) == id then return false end
  call('RPUSH', tag .. ':behind:' .. key, id)
  return true
end

-- The worker is given the record as it was, and makes the same changes to it. `raw` was read with those of the others,
-- so that an id that stands twice in a line is told apart by `leased`.
local function lease(id, kind, key, raw)
  if not raw then raw = try('GETRANGE', key, 0, 0) end
  if type(raw) ~= 'string' or #raw <= KIND_AT or byte(raw) ~= VERSION then return quarantine(id, raw) end
  local _, state, attempts = byte(raw, 1, 3)
  local most, flags = byte(raw, MAX_AT, FLAGS_AT)
  if state ~= NUMBERS.enqueued or leased[id] or (flags >= EXCLUSIVE and stands_behind(id, raw)) then return end
  ids[#ids + 1], leased[id] = id, true
  local position = tell('claimed', kind, 'processing', id, attempts + 1, most)
  local token = token_of(#ids)
  call('SETRANGE', key, 0, claimed .. char(attempts + 1, 0) .. token .. began .. pack('>I4', position))
  leases[#leases + 1] = lease_ends
  leases[#leases + 1] = id
  answer(id, raw)
end

-- How many more ids may be looked at before the reply is too large, judged by those before them.
local function chunk()
  if bytes == 0 then return FIRST end
  return math.max(1, math.floor((BYTES - bytes) * #ids / bytes))
end

-- Take from the round being served; where it is empty, the next one is.
local function take_line(line, count)
  local target, steps = #ids + count, 0
  while #ids < target and bytes < BYTES and steps < ROUNDS do
    local found = call('LPOP', round_key(line, line.round), math.min(target - #ids, chunk()))
    if found then
      line.count, line.changed = line.count - #found, true
      local keys = {}
      for i, id in ipairs(found) do keys[i] = job_prefix .. id end
      local raws = call('MGET', unpack(keys))
      for i, id in ipairs(found) do lease(id, line.kind, keys[i], raws[i]) end
    elseif line.round < line.last then
      line.round, line.changed, steps = line.round + 1, true, steps + 1
    else
      line.changed, line.count = line.changed or line.count ~= 0, 0
      return
    end
  end
end

local function take(kind, count)
  local before = #ids
  for lane = 0, LANES - 1 do
    if count <= #ids - before then break end
    take_line(line_of(kind, lane), count - (#ids - before))
  end
  return #ids - before
end

-- When something that keeps a kind back will let go: the least of it is the worker's next wait.
local later = -1
local function not_before(ms)
  if later < 0 or ms < later then later = ms end
end

-- A token bucket that all workers share: how many of `want` may leave, and what writes down that some did.
local function bucket(name, limit, window, want)
  local key = tag .. ':bucket:' .. name
  local stored, tokens = try('GET', key), limit
  if type(stored) == 'string' and #stored == 14 then
    local left, when = unpack_struct('>dI6', stored)
    tokens = math.min(limit, left + math.max(0, now - when) * limit / window)
  end
  local allowed = math.min(want, math.floor(tokens))
  if allowed < want then not_before(math.ceil((allowed + 1 - tokens) * window / limit)) end
  return allowed, function(taken)
    call('SET', key, pack('>dI6', tokens - taken, now), 'PX', math.ceil(window * 2))
  end
end

local MOST_PACE = 100000
local function pace_of(gate)
  if not gate.doubles then return gate.pace end
  return math.min(gate.pace * 2 ^ (math.max(0, now - gate.since) / gate.doubles), MOST_PACE)
end

-- A gate that is held lets nobody through, but one probe at a time where a breaker holds it; one that has a pace
-- lets them through at that pace until nobody waits.
local function through_gate(channel, want)
  local gate = gate_of(channel)
  if not gate then return want end
  if gate.pace then
    local allowed, spend = bucket('pace:' .. channel, pace_of(gate), 1000, want)
    return allowed, function(taken, left)
      spend(taken)
      if left == 0 then call('HDEL', gates_key, channel) end
    end
  end
  if not gate.probe then return 0 end
  if now < gate.next then
    not_before(gate.next - now)
    return 0
  end
  return math.min(want, 1), function(taken)
    if taken == 0 then return end
    gate.next = now + gate.probe
    call('HSET', gates_key, channel, cmsgpack.pack(gate))
  end
end

-- Take up to `want` of one kind, through its gates and its quota. Says whether more could be taken at once.
local gated = call('EXISTS', gates_key) == 1
local function take_through(kind, want)
  local spends, asked = {}, want
  if gated then
    want, spends[1] = through_gate(kind.name, want)
    if kind.channel ~= kind.name then want, spends[2] = through_gate(kind.channel, want) end
  end
  if kind.limit > 0 and want > 0 then want, spends[3] = bucket(kind.channel, kind.limit, kind.window, want) end
  local taken = want > 0 and take(kind.name, want) or 0
  local left = waiting(kind.name)
  for n = 1, 3 do
    if spends[n] then spends[n](taken, left) end
  end
  kind.open = want == asked
end

-- Each kind gets its share first, so that a flood of one does not hold up another; then the rest is filled.
local function take_fairly(room)
  local share = math.ceil(room / #args.kinds)
  for _, kind in ipairs(args.kinds) do
    local want = math.min(share, room - #ids)
    if want > 0 then take_through(kind, want) end
  end
  for _, kind in ipairs(args.kinds) do
    if kind.open and room > #ids then take_through(kind, room - #ids) end
    if kind.open and waiting(kind.name) > 0 then woken[kind.name] = true end
  end
end

local function next_due()
  return tonumber(call('ZRANGE', due_key, 0, 0, 'WITHSCORES')[2])
end

local last = try('GET', claim_key)
last = unpacked(last)
if last and last.claim == args.claim then
  again(last.ids)
else
  if (next_due() or math.huge) <= micros then promote() end
  reap_expired()
  push()
  if args.room > 0 then take_fairly(math.min(args.room, BATCH)) end
  if #ids > 0 then
    call('ZADD', leases_key, unpack(leases))
    call('SET', claim_key, cmsgpack.pack({claim = args.claim, ids = ids}), 'PX', args.lease)
  end
end
local due = next_due()
if due then not_before(math.max(0, due - micros) / 1000) end
finish()
reply[1] = cmsgpack.pack({later, at})
return reply
