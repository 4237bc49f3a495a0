#!lua flags=allow-oom
-- notices: which sign-in is told at once and which in a summary. A verb and its arguments; see `notices.py`.
--
-- Every key begins with one tag. What is remembered holds no user and no address, only keyed marks of them; what a
-- summary will show (browser, IP address, provider) lies in its window, which goes when it was told.
--   <tag>:did:<job>        what was decided for a job, so that a further attempt is answered alike
--   <tag>:user:<user>      devices and networks that a mail has told of, when seen; when what was told at once
--   <tag>:to:<recipient>   when mails went there at once; the windows that are open
--   <tag>:window:<id>      hash  the sign-ins of one summary in groups: the same device, address and provider
--   <tag>:all              hash  mails of everybody in a sixtieth of the window: t<slot> in all, k<slot> of the known
--   <tag>:alarm:<what>     a cap that was reached lately
local tag, args = KEYS[1], cmsgpack.unpack(ARGV[2])
local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local HOUR, DAY = 3600000, 86400000
local REMEMBERED = 180 * DAY -- a device or a network that was not seen for so long is new again
local DORMANT = 90 * DAY
local DECIDED, DONE = 26 * HOUR, 2 * HOUR -- an older job dies untold; a settled one comes no more
local PROVISIONAL = HOUR -- how long a device counts as known while the mail about it is under way
local STALE = DAY -- a window whose summary is so late takes nothing more
local MOST, GROUPS, SLOTS = 64, 10, 60

local function read(key)
  local stored = call('GET', key)
  return stored and cmsgpack.unpack(stored) or {}
end

local function write(key, value, ms)
  call('SET', key, cmsgpack.pack(value), 'PX', ms)
end

-- The marks of a map that are younger than `window`, the newest of them.
local function fresh(marks, window)
  local kept, order = {}, {}
  for mark, at in pairs(marks or {}) do
    if now - at < window then order[#order + 1] = mark end
  end
  table.sort(order, function(a, b) return marks[a] > marks[b] or (marks[a] == marks[b] and a < b) end)
  for i = 1, math.min(#order, MOST) do kept[order[i]] = marks[order[i]] end
  return kept
end

local function recent(times, window)
  local kept = {}
  for _, at in ipairs(times or {}) do
    if at <= now and now - at < window then kept[#kept + 1] = at end
  end
  return kept
end

-- What is new about a sign-in, and whether that is suspicious. Where nothing is known to compare, nobody can tell.
local function judge(user)
  local dormant = user.last and now - user.last > DORMANT or false
  if args.device == '' and args.network == '' then return 'unknown', true end
  if not user.last then return 'first', false end
  local told = user.t[args.device .. args.network]
  if told and now - told < PROVISIONAL then return 'known', dormant end
  local device = args.device ~= '' and not user.d[args.device]
  local network = args.network ~= '' and not user.n[args.network]
  if device and network then return 'new_both', true end
  if device then return 'new_device', dormant end
  if network then return 'new_network', dormant end
  return dormant and 'dormant' or 'known', dormant
end

-- Known devices may use half of a budget: the other half is always there for the new.
local function has_room(known, total, limit, is_known, share)
  if total >= math.floor(limit * share) then return false end
  return not is_known or known < math.floor(limit / 2)
end

local function slot_now() return math.floor(now * SLOTS / args.all_window) end

local function everybody()
  local known, total, slot = 0, 0, slot_now()
  local stored, gone = call('HGETALL', tag .. ':all'), {}
  for i = 1, #stored, 2 do
    local at = tonumber(string.sub(stored[i], 2))
    if at < slot - SLOTS or at > slot then gone[#gone + 1] = stored[i]
    elseif string.sub(stored[i], 1, 1) == 'k' then known = known + tonumber(stored[i + 1])
    else total = total + tonumber(stored[i + 1]) end
  end
  if #gone > 0 then call('HDEL', tag .. ':all', unpack(gone)) end
  return known, total
end

local function charge_all(is_known)
  local slot = string.format('%.0f', slot_now())
  call('HINCRBY', tag .. ':all', 't' .. slot, 1)
  if is_known then call('HINCRBY', tag .. ':all', 'k' .. slot, 1) end
  call('PEXPIRE', tag .. ':all', args.all_window + HOUR)
end

-- The cap that a mail at once would break, or nil. A tenth of everybody's is kept for summaries.
local function capped(user, to, is_known)
  if not has_room(#user.k, #user.k + #user.f, args.limit, is_known, 1) then return 'user' end
  if not has_room(#to.k, #to.k + #to.f, args.to_limit, is_known, 1) then return 'recipient' end
  local known, total = everybody()
  if not has_room(known, total, args.all_limit, is_known, 0.9) then return 'everybody' end
end

-- A cap is told once an hour, over all workers. That of one user is his own affair.
local function alarm(what)
  local key = tag .. ':alarm:' .. what
  if what == 'user' or call('EXISTS', key) == 1 then return nil end
  call('SET', key, '1', 'PX', HOUR)
  return what
end

-- The sign-in goes into the recipient's window of this pace, which is opened where there is none.
local function put_off(to, pace, is_new)
  local open = to[pace]
  local wait = pace == 'soon' and args.window or args.slow
  if not open or now - open.due > STALE then
    open = {id = args.job .. '-' .. string.format('%.0f', now), due = now + wait, n = 0, k = 0}
    to[pace] = open
  end
  local key, sort = tag .. ':window:' .. open.id, is_new and 'n' or 'k'
  local field = sort .. args.group
  local stored = call('HGET', key, field)
  if not stored and open[sort] >= GROUPS then
    field = sort .. '+'
    stored = call('HGET', key, field)
  end
  local group = stored and cmsgpack.unpack(stored)
  if not group then
    local counted = field == sort .. '+'
    group = {count = 0, first = args.at, last = args.at, shown = counted and '' or args.shown, new = is_new,
      user = args.user, device = args.device, network = args.network}
    if not counted then open[sort] = open[sort] + 1 end
  end
  if group.user ~= args.user then group.user = '' end
  group.count = group.count + 1
  group.first, group.last = math.min(group.first, args.at), math.max(group.last, args.at)
  call('HSET', key, field, cmsgpack.pack(group))
  call('PEXPIRE', key, math.max(open.due - now, 0) + 2 * DAY)
  return open
end

local function load_user(ref)
  local user = read(tag .. ':user:' .. ref)
  user.d, user.n = fresh(user.d, REMEMBERED), fresh(user.n, REMEMBERED)
  user.t = fresh(user.t, math.max(args.slow or 0, PROVISIONAL))
  return user
end

local function save_user(ref, user) write(tag .. ':user:' .. ref, user, REMEMBERED) end

local function learn(user, device, network)
  if device ~= '' then user.d[device] = now end
  if network ~= '' then user.n[network] = now end
end

local verbs = {}

-- Decide for one job. gives: told (now | later), reason, and of later: window, due, cap, alarm
function verbs.decide()
  local did = tag .. ':did:' .. args.job
  local before = call('GET', did)
  if before then return before end
  local user, to = load_user(args.user), read(tag .. ':to:' .. args.to)
  user.k, user.f = recent(user.k, args.window), recent(user.f, args.window)
  to.k, to.f = recent(to.k, args.to_window), recent(to.f, args.to_window)
  local reason, suspicious = judge(user)
  local is_known, pair = reason == 'known', args.device .. args.network
  local wanted = args.policy == 'every' or suspicious or (args.policy == 'new_device' and not is_known)
  if is_known and user.t[pair] and now - user.t[pair] < args.slow then wanted = false end
  local cap = wanted and capped(user, to, is_known) or nil
  local verdict = {reason = reason}
  if wanted and not cap then
    verdict.told = 'now'
    for _, budget in ipairs({user, to}) do
      local times = is_known and budget.k or budget.f
      times[#times + 1] = now
    end
    charge_all(is_known)
    user.t[pair] = now
  else
    local open = put_off(to, (cap or args.slow <= args.window) and 'soon' or 'slow', not is_known)
    verdict.told, verdict.window, verdict.due = 'later', open.id, open.due
    if cap then verdict.cap, verdict.alarm = cap, alarm(cap) end
  end
  if user.d[args.device] then user.d[args.device] = now end
  if user.n[args.network] then user.n[args.network] = now end
  if reason == 'first' and not wanted then learn(user, args.device, args.network) end -- what others are compared with
  user.last = now
  save_user(args.user, user)
  write(tag .. ':to:' .. args.to, to, math.max(args.to_window, args.window, args.slow) + 2 * DAY)
  write(did, verdict, DECIDED)
  verdict = cmsgpack.pack(verdict)
  return verdict
end

-- A mail has told of a sign-in, so that what it came from is known from now on (`learn`); or a summary will.
function verbs.done()
  call('PEXPIRE', tag .. ':did:' .. args.job, DONE)
  if args.learn then
    local user = load_user(args.user)
    learn(user, args.device, args.network)
    save_user(args.user, user)
  end
  return cmsgpack.pack('done')
end

-- Close a window: nothing comes into it any more. gives: groups, or wait (ms) where everybody's cap is reached
function verbs.close()
  local key = tag .. ':window:' .. args.id
  if call('HEXISTS', key, 'closed') == 0 and call('EXISTS', key) == 1 then
    local _, total = everybody()
    if total >= args.all_limit then
      return cmsgpack.pack({wait = math.ceil(args.all_window / SLOTS), groups = {}, alarm = alarm('everybody')})
    end
    charge_all(false)
    call('HSET', key, 'closed', '1')
    local to = read(tag .. ':to:' .. args.to)
    for _, pace in ipairs({'soon', 'slow'}) do
      if to[pace] and to[pace].id == args.id then to[pace] = nil end
    end
    write(tag .. ':to:' .. args.to, to, math.max(args.to_window, args.window, args.slow) + 2 * DAY)
  end
  local groups, stored = {}, call('HGETALL', key)
  for i = 1, #stored, 2 do
    if stored[i] ~= 'closed' then
      local group = cmsgpack.unpack(stored[i + 1])
      group.others = string.sub(stored[i], 2) == '+'
      groups[#groups + 1] = group
    end
  end
  return cmsgpack.pack({wait = 0, groups = groups})
end

-- The summary of a window has told of its sign-ins. Of those that it only counted, nobody was told what they came from.
function verbs.summed()
  local key = tag .. ':window:' .. args.id
  local stored = call('HGETALL', key)
  for i = 1, #stored, 2 do
    if stored[i] ~= 'closed' and string.sub(stored[i], 2) ~= '+' then
      local group = cmsgpack.unpack(stored[i + 1])
      local user = load_user(group.user)
      learn(user, group.device, group.network)
      save_user(group.user, user)
    end
  end
  call('DEL', key)
  return cmsgpack.pack('summed')
end

-- Forget a user: the devices, the networks and what was counted. What waits in a window is told all the same.
function verbs.forget()
  return cmsgpack.pack(call('DEL', tag .. ':user:' .. args.user))
end

-- Take a user out of a window, with what it would show of him. gives: how many groups went, and how many are left
function verbs.take_out()
  local key, gone, left = tag .. ':window:' .. args.id, 0, 0
  local stored = call('HGETALL', key)
  for i = 1, #stored, 2 do
    local group = stored[i] ~= 'closed' and cmsgpack.unpack(stored[i + 1])
    if group and group.user == args.user then
      call('HDEL', key, stored[i])
      gone = gone + 1
    elseif group then
      left = left + 1
    end
  end
  return cmsgpack.pack({gone, left})
end

-- Forget who gets mail at an address: when, and the windows that are open; and what was decided for some jobs.
function verbs.forget_marks()
  for _, mark in ipairs(args.recipients) do call('DEL', tag .. ':to:' .. mark) end
  for _, mark in ipairs(args.jobs) do call('DEL', tag .. ':did:' .. mark) end
  return cmsgpack.pack('forgotten')
end

return verbs[ARGV[1]]()
