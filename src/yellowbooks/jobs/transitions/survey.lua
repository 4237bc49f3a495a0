#!lua flags=allow-oom
-- survey: how many jobs stand where, how old the oldest that may run is, who works; changes nothing.
-- args:
-- gives: counts
-- emits:
local counts = {lines = {}, workers = {}, gates = {}, scheduled = call('ZCARD', due_key),
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
return cmsgpack.pack(counts)
