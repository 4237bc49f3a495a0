#!lua flags=allow-oom
-- settle: end one attempt as completed (the outcome left out), retry or dead. Only the token's holder may; told twice,
-- it is done once.
-- args: items channels pace
-- item: id token outcome delay error cause uncertain spent hold probe
-- gives: settled | already | stale
-- emits: completed retried deferred died
local gated = call('EXISTS', gates_key) == 1

local function retry(job, item)
  local name = item.spent and 'retried' or 'deferred'
  job.attempt = job.attempts
  if not item.spent then job.attempts = job.attempts - 1 end
  if item.uncertain then job.uncertain = job.uncertain + 1 end
  move(job, 'retrying', name, {due = now + (item.delay or 0), error = item.error or '', cause = item.cause or ''})
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

-- A probe came through: what a breaker held leaves at a pace.
local function open(channel)
  local gate = gate_of(channel)
  if gate and gate.by == 'breaker' then call('HSET', gates_key, channel, cmsgpack.pack({pace = args.pace})) end
end

-- The ordinary end, made in place: a completed job is the head and the fixed part of the body of what it was.
local function complete(item, raw)
  local kind_ends = KIND_AT + byte(raw, KIND_AT)
  local account_ends = kind_ends + 1 + byte(raw, kind_ends + 1)
  local kind, body_ends = sub(raw, KIND_AT + 1, kind_ends), account_ends + 1 + byte(raw, account_ends + 1)
  local attempts, most, flags = byte(raw, 3), byte(raw, MAX_AT, FLAGS_AT)
  if flags >= EXCLUSIVE then vacate(parse(item.id, raw)) end
  local position = tell('completed', kind, 'completed', item.id, attempts, most)
  call('SET', job_prefix .. item.id, pack('>BBBBc16c6I6I4', VERSION, NUMBERS.completed, attempts, byte(raw, 4) - byte(raw, 4) % 2, item.token,
    sub(raw, 21, 26), at, position) .. sub(raw, 37, body_ends))
  ended[#ended + 1] = item.id
  if gated then open(args.channels[kind] or kind) end
end

return each(function(item)
  local raw = try('GETRANGE', job_prefix .. item.id, 0, LONGEST)
  local ours = type(raw) == 'string' and byte(raw) == VERSION and byte(raw, 2) == NUMBERS.processing
    and sub(raw, 5, 20) == item.token
  if not ours then
    local job = parse(item.id, raw)
    return job and job.state ~= 'processing' and job.token == item.token and 'already' or 'stale'
  end
  leave(item.id)
  if not item.outcome then
    complete(item, raw)
    return 'settled'
  end
  local job = parse(item.id, raw)
  vacate(job)
  if item.outcome == 'retry' then
    retry(job, item)
  else
    job.attempt = job.attempts
    bury(job, item.error or '', item.cause or '', item.token)
  end
  if item.hold then hold(item.hold, item) end
  return 'settled'
end)
