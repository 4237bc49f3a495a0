#!lua
-- restore: jobs that the queue lost come back from the job log. One that is here, or was seen to leave, stays as it is.
-- Nobody knows whether one that might have run did so since the log last heard of it: it is in doubt, and as its kind
-- says it runs, once more perhaps, or waits for a person.
-- args: items after
-- item: id state attempts crashes generation created due ended cause release unique_window
-- payloads: for each job its story and its body; both are empty where only its id is to be known
-- gives: restored | held | known | there | unreadable
-- emits: restored died
local LOST = 'the queue was lost; nobody knows whether this job had begun'
local NOBODY = string.rep('\0', 8)

-- The log has events up to `after`: those that follow must be newer, whatever the clock says.
if at <= args.after then at, seq = args.after + 1, 0 end

local function is_known(id)
  if call('EXISTS', job_prefix .. id) == 1 then return true end
  for n = math.floor(logical / DRAWER), math.floor(logical / DRAWER) - 2, -1 do
    if call('HEXISTS', tag .. ':seen:' .. n, id) == 1 then return true end
  end
  return false
end

-- As at its admission: in the round after the last one of its user.
local function enqueue_fairly(job)
  local line, key = line_of(job.kind, job.lane), tag .. ':user:' .. job.account
  local round, times = line.round, ''
  if job.account ~= '' then
    local stored = try('GET', key)
    if type(stored) == 'string' and #stored >= 7 then
      local last, lane = unpack_struct('>I6B', stored)
      if lane == job.lane then round = math.max(round, last) end
      times = sub(stored, 8)
    end
    call('SET', key, pack('>I6B', round + 1, job.lane) .. times, 'PX', 3600 * 1000)
  end
  enqueue(line, job.id, round)
end

local function bury_again(job, item, i)
  job.state, job.at, job.seq = 'dead', item.ended, i
  save(job)
  call('ZADD', dead_key, place_of(job), job.id)
  join_group(job.id, place_of(job), fingerprint_of(job.kind, item.cause, item.release))
  return 'restored'
end

local function run_again(job, item)
  if item.due > now then
    call('ZADD', due_key, item.due * 1000, job.id)
    local more = {due = item.due}
    if item.state == 'retrying' then
      move(job, 'retrying', 'restored', more)
    else
      move(job, 'scheduled', 'restored', more)
    end
  else
    job.uncertain = 1
    if job.hold then
      bury(job, 'uncertain: ' .. LOST .. '; see whether the effect happened, then requeue', 'uncertain')
      return 'held'
    end
    enqueue_fairly(job)
    move(job, 'enqueued', 'restored', {error = LOST, cause = 'uncertain'})
  end
  save(job)
  return 'restored'
end

return each(function(item, i)
  local story, body = ARGV[2 * i], ARGV[2 * i + 1]
  if is_known(item.id) then return 'there' end
  local born = math.min(logical, item.created)
  if body == '' then
    remember_seen({id = item.id, fingerprint = NOBODY, logical = born})
    return 'known'
  end
  local raw = pack(HEAD, VERSION, NUMBERS.enqueued, item.attempts, 0, NONE, 0, at, 0, item.crashes, 0, item.generation,
    born, item.created) .. body
  local job = parse(item.id, raw)
  if not job then return 'unreadable' end
  call('SET', job_prefix .. item.id, raw)
  if story ~= '' then call('SET', story_prefix .. item.id, story) end
  if item.unique_window > logical - born then
    call('SET', tag .. ':unique:' .. job.account, pack('>I6', born) .. item.id, 'PX', item.unique_window * 2 + 60000)
  end
  if item.state == 'dead' then return bury_again(job, item, i) end
  return run_again(job, item)
end)
