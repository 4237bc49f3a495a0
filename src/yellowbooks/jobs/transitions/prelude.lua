-- prelude: what every transition shares: the key map, the clock, the record, the fence, the lines and the events.
--
-- Every key begins with one tag, {yb:<queue>:<n>}, so that all of them live on one node of a cluster:
--   <tag>:job:<id>         string  the record of a job: a head of fixed length, then what the caller sent
--   <tag>:story:<id>       string  what happened to it beyond admitted, claimed, completed
--   <tag>:enqueued:<kind>:<lane>:<round>  list  ids that may run now, in turn; see `enqueue`
--   <tag>:lines            hash    kind -> for each lane the round being served, the last round, how many wait
--   <tag>:wake:<kind>      list    at most one token; an idle worker blocks on it
--   <tag>:due              zset    ids of scheduled and retrying jobs, by the time they may run (us)
--   <tag>:leases           zset    ids of processing jobs, by the end of the lease (logical ms)
--   <tag>:dead             zset    ids of dead jobs, by the position of their last event; see `bury`
--   <tag>:causes           hash    fingerprint -> the kind, the cause and the release that dead jobs have in common
--   <tag>:died             hash    id of a dead job -> its place in `dead`, and its fingerprint (none: no record)
--   <tag>:died:<fingerprint>  zset  ids of dead jobs that have it, as in `dead`
--   <tag>:grouped          string  up to which place of `dead` these three were compared with it; see `group`
--   <tag>:ended            list    ids of completed and cancelled jobs, in the order in which they ended
--   <tag>:quarantine       hash    id -> why its record cannot be read
--   <tag>:seen:<drawer>    hash    id -> fingerprint and logical time of a job that left the queue
--   <tag>:user:<key>    string  of one user of one kind: the round after his last job, and his newest admissions
--   <tag>:named:<id>       string  of a queue in partitions: the one whose user gave this id first
--   <tag>:unique:<key>     string  which job holds a unique window, since when (logical ms)
--   <tag>:running          hash    exclusive key -> id of the job that runs; <tag>:behind:<key>  list  those after it
--   <tag>:gates            hash    channel -> who holds it and why, or at what pace it leaves
--   <tag>:bucket:<name>    string  a token bucket: tokens left, when (ms)
--   <tag>:claim:<worker>   string  the worker's last claim, so that a lost reply can be given again
--   <tag>:workers          hash    worker -> the kinds that it knows, when it was last heard of
--   <tag>:locks            hash    name -> holder, fencing token, end (logical ms)
--   <tag>:events           stream  one entry a call, with all its events, until the job log has it
--   <tag>:shed             hash    how much left without the job log's knowing
--   <tag>:drift            hash    how far the job log and the queue were apart when somebody compared them
--   <tag>:tally, <tag>:tally:<minute>  hash  counts of events; written by the recorder, not by these scripts
--   <tag>:clock            string  the wall clock last seen, the logical clock, the position of the last event
local tag = KEYS[1]
local args = cmsgpack.unpack(ARGV[1])
local call, try = redis.call, redis.pcall
local pack, unpack_struct = struct.pack, struct.unpack
local byte, char, sub = string.byte, string.char, string.sub

local due_key, leases_key, dead_key, ended_key = tag .. ':due', tag .. ':leases', tag .. ':dead', tag .. ':ended'
local died_key, causes_key = tag .. ':died', tag .. ':causes'
local events_key, clock_key, gates_key = tag .. ':events', tag .. ':clock', tag .. ':gates'
local job_prefix, story_prefix = tag .. ':job:', tag .. ':story:'

local time = call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

-- What stands packed in a field, or nil where it is no table.
local function unpacked(stored)
  local fits, value = pcall(cmsgpack.unpack, stored)
  return fits and type(value) == 'table' and value or nil
end

-- The logical clock (ms) takes at most 3 s a step and never goes back, so that neither a jump of the wall clock
-- nor an outage lets a living worker's lease or a record of a seen id expire. Event positions never go back either.
local STEP, CLOCK = 3000, '>I6I6I6I4'
local logical, at, seq = now, now, 0
do
  local last = try('GET', clock_key)
  if type(last) == 'string' and #last == 22 then
    local wall, before
    wall, before, at, seq = unpack_struct(CLOCK, last)
    logical = before + math.max(0, math.min(now - wall, STEP))
    if now > at then at, seq = now, 0 end
  end
end

-- The record. Its head changes and belongs to these scripts, its front (up to seq) at every step of the ordinary way;
-- the rest is the caller's, see `record.py`.
-- record: version state attempts marks token started at seq crashes uncertain generation logical created
-- body: fingerprint lane max_attempts flags kind account nonce
local HEAD, BODY, VERSION = '>BBBBc16I6I6I4BBI2I6I6', '>c8BBBBc0Bc0Bc0', 1
local FRONT_SIZE, HEAD_SIZE = 36, 52
local MAX_AT, FLAGS_AT, KIND_AT = HEAD_SIZE + 10, HEAD_SIZE + 11, HEAD_SIZE + 12
local LONGEST = 320
local NONE = string.rep('\0', 16)
local STATES = {'scheduled', 'enqueued', 'processing', 'retrying', 'completed', 'dead', 'cancelled'}
local NUMBERS = {}
for number, state in ipairs(STATES) do NUMBERS[state] = number end
local HOLD, EXCLUSIVE = 1, 2
local COMMITTED, STORIED = 1, 2

-- The job in a record, or nil where it is none that this version can read. `raw` may end within the payload.
local function parse(id, raw)
  if type(raw) ~= 'string' or #raw <= KIND_AT or byte(raw) ~= VERSION then return nil end
  local fits, fingerprint, lane, most, flags, kind, account, nonce, ends = pcall(unpack_struct, BODY, raw, HEAD_SIZE + 1)
  if not fits or not STATES[byte(raw, 2)] then return nil end
  local job = {id = id, raw = raw, fingerprint = fingerprint, nonce = nonce, lane = lane, max_attempts = most,
    hold = flags % 2 >= HOLD, exclusive = flags % 4 >= EXCLUSIVE, kind = kind, account = account, ends = ends}
  local _, state, marks
  _, state, job.attempts, marks, job.token, job.started, job.at, job.seq, job.crashes, job.uncertain,
    job.generation, job.logical, job.created = unpack_struct(HEAD, raw)
  job.state, job.committed, job.storied = STATES[state], marks % 2 >= COMMITTED, marks >= STORIED
  return job
end

local function load(id)
  return parse(id, try('GETRANGE', job_prefix .. id, 0, LONGEST))
end

local function head(job)
  return pack(HEAD, VERSION, NUMBERS[job.state], job.attempts,
    (job.committed and COMMITTED or 0) + (job.storied and STORIED or 0), job.token, job.started,
    job.at, job.seq, job.crashes, job.uncertain, job.generation, job.logical, job.created)
end

-- The fence: only the holder of the token may go on with a job. Whoever settled it leaves his token there, so that he
-- is told so where he asks again.
local function holds(job, token)
  return job and job.state == 'processing' and job.token == token
end

-- Events wait here, packed, until `finish` writes them as one entry: groups of name, kind, state, and for each event
-- job, attempt, max_attempts and what else there is. Counts stay below 128, so that each is one byte of MessagePack.
local groups, group = {}, {}
local heads, tails = {}, {}
local function tell(name, kind, state, id, attempt, most, more)
  if group.name ~= name or group.kind ~= kind or group.state ~= state then
    group = {name = name, kind = kind, state = state}
    groups[#groups + 1] = group
  end
  seq = seq + 1
  local length, counts = #id, attempt * 256 + most
  local head, tail = heads[length], tails[counts]
  if not head then
    head = length < 32 and char(160 + length) or char(217, length)
    heads[length] = head
  end
  if not tail then
    tail = char(attempt, most)
    tails[counts] = tail
  end
  if more then
    group[#group + 1] = '\148' .. head .. id .. tail .. cmsgpack.pack(more)
  else
    group[#group + 1] = '\147' .. head .. id .. tail
  end
  return seq
end

local function pack_events()
  for i, one in ipairs(groups) do
    groups[i] = '\148' .. cmsgpack.pack(one.name, one.kind, one.state) .. pack('>BI2', 220, #one) .. table.concat(one)
  end
  return pack('>BI2', 220, #groups) .. table.concat(groups)
end

-- A job's own history. The ordinary way (admitted, claimed, completed) stands in the record and costs nothing here.
-- Where it is full, notes stop at half of it and traces at three quarters; of what it died has room beyond it.
local STORY = 16384
local function remember(job, name, when, state, attempt, more, trace)
  local key = story_prefix .. job.id
  local used = call('STRLEN', key)
  if name == 'noted' and used > STORY / 2 then return end
  if trace and used < STORY * 3 / 4 then more.trace = trace end
  local line = cmsgpack.pack({name, when, state, attempt, more})
  if used + #line <= (name == 'died' and 2 * STORY or STORY) then call('APPEND', key, pack('>I2', #line) .. line) end
end

-- The claim stands in the story before whatever else does.
local function remember_claim(job)
  if job.storied then return end
  remember(job, 'claimed', job.started, 'processing', job.attempt or job.attempts, {worker = sub(job.token, 1, 8)})
  job.storied = true
end

-- Every transition but the ordinary ones ends here. A trace stands in the job's own history alone: the events are
-- read by many, and are short.
local function move(job, state, name, more, trace)
  if more and not next(more) then more = nil end
  if job.state == 'processing' then remember_claim(job) end
  job.state, job.storied = state, false
  job.at, job.seq = at, tell(name, job.kind, state, job.id, job.attempts, job.max_attempts, more)
  remember(job, name, at, state, job.attempts, more, trace)
end

-- Leases that end in this call leave their index together.
local left = {}
local function leave(id) left[#left + 1] = id end

local function save(job)
  call('SETRANGE', job_prefix .. job.id, 0, head(job))
end

-- Lines. Jobs that may run stand in one line a kind and lane, and each line goes round by round: a round is a list,
-- served first in, first out, and the jobs of one user stand in rounds one after another. So a user with 100,000 jobs
-- delays the first job of another by one of his. (Start-time fair queueing: Goyal, Vin and Cheng, SIGCOMM 1996, 2.)
local LANES = 3
local lines = {}
local function lines_of(kind)
  local found = lines[kind]
  if found then return found end
  local stored = try('HGET', tag .. ':lines', kind)
  local fits = type(stored) == 'string' and #stored == 18 * LANES
  found = {}
  for lane = 0, LANES - 1 do
    local line = {name = kind .. ':' .. lane, kind = kind, round = 0, last = 0, count = 0, pushes = {}}
    if fits then line.round, line.last, line.count = unpack_struct('>I6I6I6', stored, lane * 18 + 1) end
    found[lane] = line
  end
  lines[kind] = found
  return found
end

local function line_of(kind, lane) return lines_of(kind)[lane] end

local function waiting(kind)
  local count = 0
  for _, line in pairs(lines_of(kind)) do count = count + line.count end
  return count
end

local function round_key(line, round)
  return string.format('%s:enqueued:%s:%.0f', tag, line.name, round)
end

local woken = {}
local function enqueue(line, id, round)
  if round > line.last then line.last = round end
  line.count, line.changed = line.count + 1, true
  local ids = line.pushes[round]
  if ids then ids[#ids + 1] = id else line.pushes[round] = {id} end
  woken[line.kind] = true
end

-- A job that waited elsewhere stands last in the round being served.
local function enqueue_next(job)
  local line = line_of(job.kind, job.lane)
  enqueue(line, job.id, line.round)
end

-- A job that had its turn before stands first in the round being served.
local function enqueue_first(job)
  local line = line_of(job.kind, job.lane)
  line.count, line.changed = line.count + 1, true
  call('LPUSH', round_key(line, line.round), job.id)
  woken[job.kind] = true
end

local function push()
  for _, lanes in pairs(lines) do
    for _, line in pairs(lanes) do
      for round, ids in pairs(line.pushes) do call('RPUSH', round_key(line, round), unpack(ids)) end
      line.pushes = {}
    end
  end
end

-- The next job of an exclusive key may run when the one before it does not any more.
local function running_key(job) return job.kind .. ':' .. job.account end
local function vacate(job)
  if not job.exclusive then return end
  local key = running_key(job)
  if call('HGET', tag .. ':running', key) ~= job.id then return end
  call('HDEL', tag .. ':running', key)
  local id = call('LPOP', tag .. ':behind:' .. key)
  while id do
    local following = load(id)
    if following and following.state == 'enqueued' then return enqueue_first(following) end
    id = call('LPOP', tag .. ':behind:' .. key)
  end
end

-- A job that ended keeps its story and loses its payload, in which the personal data is.
local ended = {}
local function end_job(job)
  job.committed = false
  call('SET', job_prefix .. job.id, head(job) .. sub(job.raw, HEAD_SIZE + 1, job.ends - 1))
  ended[#ended + 1] = job.id
end

-- Dead jobs of one kind, cause and release also stand together, so that nobody reads a hundred thousand to count what
-- they died of. A version that knows of no groups changes `dead` alone: `group` compares the two, and mends.
local function group_key(fingerprint) return died_key .. ':' .. fingerprint end

local function leave_group(id)
  local found = call('HGET', died_key, id)
  if not found then return end
  local fingerprint = string.match(found, ' (.+)$')
  call('HDEL', died_key, id)
  if not fingerprint then return end
  call('ZREM', group_key(fingerprint), id)
  if call('EXISTS', group_key(fingerprint)) == 0 then call('HDEL', causes_key, fingerprint) end
end

local function join_group(id, place, fingerprint)
  call('HSET', died_key, id, string.format('%.0f %s', place, fingerprint))
  if fingerprint ~= '' then call('ZADD', group_key(fingerprint), place, id) end
end

-- The fingerprint of jobs that died of the same, noted for those who ask what it means.
local function fingerprint_of(kind, cause, release)
  local names = cmsgpack.pack({kind, cause, release})
  local fingerprint = sub(redis.sha1hex(names), 1, 16)
  call('HSET', causes_key, fingerprint, names)
  return fingerprint
end

local function place_of(job) return job.at * 2048 + math.min(job.seq, 2047) end

local function leave_dead(id)
  call('ZREM', dead_key, id)
  leave_group(id)
end

-- A job that leaves: that its id was seen stays known until the window is over.
local WINDOW = 7 * 24 * 3600 * 1000
local DRAWER = WINDOW / 2
local function remember_seen(job)
  if logical - job.logical >= WINDOW then return end
  call('HSET', tag .. ':seen:' .. math.floor(job.logical / DRAWER), job.id, pack('>c8I6', job.fingerprint, job.logical))
end

local function bury(job, error, cause, settled_by, release, trace)
  move(job, 'dead', 'died', {error = error, cause = cause, release = release}, trace)
  job.committed, job.token = false, settled_by or NONE
  save(job)
  call('ZADD', dead_key, place_of(job), job.id)
  leave_group(job.id)
  join_group(job.id, place_of(job), fingerprint_of(job.kind, cause, release or ''))
end

local function gate_of(channel)
  return unpacked(try('HGET', gates_key, channel))
end

-- The stream takes only growing positions. Where the clock's key was lost and the wall clock went back, or somebody
-- else wrote there, they go on after the last one.
local function append_entry()
  local first, entry = seq, pack_events()
  local written = try('XADD', events_key, string.format('%.0f-%.0f', at, seq), 'e', entry, 'w', args.worker or '')
  if type(written) == 'string' then return end
  local last = call('XREVRANGE', events_key, '+', '-', 'COUNT', 1)[1][1]
  at, seq = string.match(last, '^(%d+)-(%d+)$')
  at, seq = tonumber(at), tonumber(seq) + first + 1
  call('XADD', events_key, string.format('%.0f-%.0f', at, seq), 'e', entry, 'w', args.worker or '')
end

-- What was collected is written: the lines, the wake tokens, the ended, the events and the clock.
local function finish()
  push()
  for kind, lanes in pairs(lines) do
    local changed, stored = false, ''
    for lane = 0, LANES - 1 do
      local line = lanes[lane]
      changed = changed or line.changed
      stored = stored .. pack('>I6I6I6', line.round, line.last, math.max(line.count, 0))
    end
    if changed then call('HSET', tag .. ':lines', kind, stored) end
  end
  for kind in pairs(woken) do
    local key = tag .. ':wake:' .. kind
    if call('LLEN', key) == 0 then call('LPUSH', key, '1') end
  end
  if #left > 0 then call('ZREM', leases_key, unpack(left)) end
  if #ended > 0 then call('RPUSH', ended_key, unpack(ended)) end
  if #groups > 0 then append_entry()
  end
  call('SET', clock_key, pack(CLOCK, now, logical, at, seq))
end

-- One answer an item, in the order of the items.
local function each(answer)
  local answers = {}
  for i, item in ipairs(args.items) do answers[i] = answer(item, i) end
  finish()
  return cmsgpack.pack(answers)
end
