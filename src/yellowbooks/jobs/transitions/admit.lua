#!lua
-- admit: take a job in once; a duplicate is told what became of the first and costs its user nothing.
-- args: items backlog
-- item: id delay limit window unique unique_window found request
-- payloads: the body of each record
-- gives: admitted | seen | limited | full
-- emits: admitted
local ACCOUNT = 3600 * 1000

-- Ids of jobs that left lie in drawers of half a window; a whole drawer is thrown away when it is too old.
local drawers = {}
for n = math.floor(logical / DRAWER), math.floor(logical / DRAWER) - 2, -1 do
  drawers[#drawers + 1] = tag .. ':seen:' .. n
end
if call('EXISTS', unpack(drawers)) == 0 then drawers = {} end

-- The fingerprint, nonce and state of the job that had this id first.
local function first_request(id, key)
  local raw = try('GETRANGE', key, 0, LONGEST)
  if raw ~= '' then
    local job = parse(id, raw)
    if not job then return '', '', nil end
    return job.fingerprint, job.nonce, job.state
  end
  for _, key in ipairs(drawers) do
    local seen = call('HGET', key, id)
    if seen then
      local fingerprint, admitted = unpack_struct('>c8I6', seen)
      if logical - admitted < WINDOW then return fingerprint, '', nil end
    end
  end
end

-- The account: the round after the user's last job and its lane, then the times (ms) of his newest admissions. Gives
-- the milliseconds until there is room, or charges him. Times ahead were written before the clock was set back.
local function charge(account, item, lane)
  local key = tag .. ':user:' .. account
  local stored = try('GET', key)
  local times, limit = '', item.limit or 0
  if type(stored) == 'string' and #stored >= 7 then
    local round, last_lane = unpack_struct('>I6B', stored)
    if last_lane == lane and round > item.round then item.round = round end
    local first = limit > 0 and #stored - limit * 6 + 1 or 2
    if first > 7 then
      local oldest = unpack_struct('>I6', stored, first)
      if oldest <= now and oldest + item.window > now then return oldest + item.window - now end
      first = first + 6
    end
    times = sub(stored, math.max(first, 8))
  end
  if limit > 0 then times = times .. pack('>I6', now) end
  call('SET', key, pack('>I6B', item.round + 1, lane) .. times, 'PX', math.max(item.window or 0, ACCOUNT))
  return 0
end

local function holder(item)
  local stored = try('GET', tag .. ':unique:' .. item.unique)
  if type(stored) ~= 'string' or #stored < 7 then return nil end
  return logical - unpack_struct('>I6', stored) < item.unique_window and sub(stored, 7) or nil
end

-- The head of every job of this call, but for the last event's position.
local function fresh(state, position)
  return pack(HEAD, VERSION, NUMBERS[state], 0, 0, NONE, 0, at, position, 0, 0, 0, logical, at)
end

local function place(item, line, most)
  local more = (item.found or item.request) and {found = item.found, request = item.request} or nil
  if item.delay then
    local due = now + item.delay
    call('ZADD', due_key, micros + item.delay * 1000, item.id)
    remember(item, 'admitted', at, 'scheduled', 0, {due = due})
    more = more or {}
    more.due = due
    return fresh('scheduled', tell('admitted', line.kind, 'scheduled', item.id, 0, most, more))
  end
  enqueue(line, item.id, item.round)
  return fresh('enqueued', tell('admitted', line.kind, 'enqueued', item.id, 0, most, more))
end

local ADMITTED = {word = 'admitted'}
return each(function(item, i)
  local key, body = job_prefix .. item.id, ARGV[i + 1]
  local fingerprint, lane, most, _, kind, account, nonce = unpack_struct(BODY, body)
  local first, first_nonce, state = first_request(item.id, key)
  if first and first_nonce ~= nonce then return {word = 'seen', state = state, same = first == fingerprint} end
  if first then return ADMITTED end
  local other = item.unique and holder(item)
  if other then return {word = 'seen', state = (load(other) or {}).state, first = other} end
  if waiting(kind) >= args.backlog then return {word = 'full'} end
  local line = line_of(kind, lane)
  item.round = line.round
  if account ~= '' then
    local wait = charge(account, item, lane)
    if wait > 0 then return {word = 'limited', wait = wait} end
  end
  if item.unique then
    call('SET', tag .. ':unique:' .. item.unique, pack('>I6', logical) .. item.id, 'PX', item.unique_window * 2 + 60000)
  end
  call('SET', key, place(item, line, most) .. body)
  return ADMITTED
end)
