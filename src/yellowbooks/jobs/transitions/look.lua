#!lua flags=allow-oom
-- look: what holds a job back or moves it on, for `explain`; changes nothing.
-- args: id
-- gives: facts
-- emits:
local facts = {now = now, gates = {}, workers = {}, buckets = {}}
local gates = call('HGETALL', gates_key)
for n = 1, #gates, 2 do facts.gates[gates[n]] = unpacked(gates[n + 1]) end
local workers = call('HGETALL', tag .. ':workers')
for n = 1, #workers, 2 do
  local worker = unpacked(workers[n + 1]) or {kinds = {}, about = 'a record that cannot be read', seen = 0}
  worker.silent = logical - worker.seen
  facts.workers[workers[n]] = worker
  for _, kind in ipairs(worker.kinds) do
    local stored = try('GET', tag .. ':bucket:' .. kind.channel)
    if type(stored) == 'string' then
      local tokens, when = unpack_struct('>dI6', stored)
      facts.buckets[kind.channel] = {tokens = tokens, at = when}
    end
  end
end
local job = load(args.id)
if job then
  local line = line_of(job.kind, job.lane)
  facts.waiting = line.count
  facts.committed = job.committed
  facts.worker = sub(job.token, 1, 8) ~= sub(NONE, 1, 8) and sub(job.token, 1, 8) or nil
  local ends = tonumber(call('ZSCORE', leases_key, args.id) or nil)
  facts.lease = ends and math.max(0, ends - logical) or nil
  if job.exclusive then facts.behind = call('HGET', tag .. ':running', running_key(job)) or nil end
end
return cmsgpack.pack(facts)
