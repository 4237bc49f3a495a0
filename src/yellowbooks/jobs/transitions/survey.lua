#!lua flags=allow-oom
-- survey: how many jobs stand where, how old the oldest that may run is, who works, and on what the first `named`
-- leases are; changes nothing.
-- args: named
-- gives: counts
-- emits:
local counts = {lines = {}, workers = {}, gates = {}, running = {}, scheduled = call('ZCARD', due_key),
  processing = call('ZCARD', leases_key), dead = call('ZCARD', dead_key), ended = call('LLEN', ended_key),
  events = call('XLEN', events_key), quarantined = call('HLEN', tag .. ':quarantine')}

-- The oldest job of a user stands in the round being served or the next one, and each round is in order of arrival.
local function oldest(line)
  local age
  for round = line.round, math.min(line.round + 1, line.last) do
    local id = call('LINDEX', round_key(line, round), 0)
    local job = id and load(id)
    if job and job.state == 'enqueued' then age = math.max(age or 0, now - job.created) end
  end
  return age
end

for _, kind in ipairs(call('HKEYS', tag .. ':lines')) do
  for _, line in pairs(lines_of(kind)) do
    counts.lines[line.name] = {waiting = line.count, oldest = line.count > 0 and oldest(line) or nil}
  end
end
local gates = call('HGETALL', gates_key)
for n = 1, #gates, 2 do counts.gates[gates[n]] = unpacked(gates[n + 1]) end
local workers = call('HGETALL', tag .. ':workers')
for n = 1, #workers, 2 do
  local worker = unpacked(workers[n + 1]) or {kinds = {}, about = 'a record that cannot be read', seen = 0}
  worker.silent = logical - worker.seen
  counts.workers[workers[n]] = worker
end

-- Of the jobs in `due` those that failed before. Many are not all looked at: a sample, evenly over the index, tells.
local SAMPLE = 500
local function retrying()
  local all, found = counts.scheduled, 0
  local looked = math.min(all, SAMPLE)
  local ids = all <= SAMPLE and call('ZRANGE', due_key, 0, -1) or {}
  for n = 1, looked do
    local rank = math.floor((n - 1) * all / looked)
    local id = ids[n] or call('ZRANGE', due_key, rank, rank)[1]
    if byte(try('GETRANGE', job_prefix .. id, 1, 1)) == NUMBERS.retrying then found = found + 1 end
  end
  return looked == 0 and 0 or math.floor(found * all / looked + 0.5)
end
counts.retrying = retrying()

if args.named > 0 then
  for _, id in ipairs(call('ZRANGE', leases_key, 0, args.named - 1)) do
    local job = load(id)
    if job then
      counts.running[#counts.running + 1] = {id = id, kind = job.kind, worker = sub(job.token, 1, 8),
        since = now - job.started, attempt = job.attempts, committed = job.committed}
    end
  end
end
return cmsgpack.pack(counts)
