#!lua flags=allow-oom
-- group: count the dead jobs of each kind, cause and release, of the places `above` to `below`; a part a call. First the
-- groups are compared with `dead`, as a version that knows of none may have changed it: what is missing comes in, from
-- the job's own story, and what is there no more goes out. Moves no job.
-- args: phase cursor above below
-- gives: mend | list | done, with the cursor of the next call, and groups
-- emits:
local BATCH = 500
local FRESH = 100  -- that are read from their stories in a call, as others wait for it
local grouped_key = tag .. ':grouped'

-- Of what a job died: the last failure in its history.
local function failure(id)
  local story, cause, release, at = try('GET', story_prefix .. id), '', '', 1
  if type(story) ~= 'string' then return cause, release end
  while at + 1 < #story do
    local size = unpack_struct('>I2', story, at)
    local line = unpacked(sub(story, at + 2, at + 1 + size)) or {}
    local more = type(line[5]) == 'table' and line[5] or {}
    if type(more.error) == 'string' and more.error ~= '' then cause, release = more.cause, more.release end
    at = at + 2 + size
  end
  return type(cause) == 'string' and cause or '', type(release) == 'string' and release or ''
end

-- Puts those of `ids` into their groups that are not there at their place in `dead`, up to so many; says how many of
-- `ids` are right now.
local function compare(ids, places)
  local fresh, known = 0, call('HMGET', died_key, unpack(ids))
  for n, id in ipairs(ids) do
    local place = string.format('%.0f ', places[n])
    if not known[n] or sub(known[n], 1, #place) ~= place then
      if fresh == FRESH then return n - 1 end
      local job = load(id)
      leave_group(id)
      join_group(id, places[n], job and job.state == 'dead' and fingerprint_of(job.kind, failure(id)) or '')
      fresh = fresh + 1
    end
  end
  return #ids
end

-- All that came into `dead` since the last time, whoever brought it, is in the groups then. Places only grow; of those
-- that share one, all are taken in or none is passed.
local function take_in()
  local after = call('GET', grouped_key)
  local found = call('ZRANGE', dead_key, after and '(' .. after or '-inf', '+inf', 'BYSCORE', 'LIMIT', 0, BATCH, 'WITHSCORES')
  if #found == 0 then return false end
  local ids, places = {}, {}
  for n = 1, #found, 2 do ids[#ids + 1], places[#places + 1] = found[n], tonumber(found[n + 1]) end
  local done = compare(ids, places)
  local passed = places[done]
  for _, id in ipairs(call('ZRANGE', dead_key, passed, passed, 'BYSCORE')) do compare({id}, {passed}) end
  call('SET', grouped_key, string.format('%.0f', passed))
  return true
end

-- The groups have all of `dead`: where they have more, an older version took some away.
local function sweep()
  local cursor, found = unpack(call('HSCAN', died_key, args.cursor, 'COUNT', BATCH))
  for n = 1, #found, 2 do
    if not call('ZSCORE', dead_key, found[n]) then leave_group(found[n]) end
  end
  return cursor
end

local function mend()
  if take_in() then return 'mend', args.cursor end
  local ours, theirs = call('HLEN', died_key), call('ZCARD', dead_key)
  if ours < theirs then
    call('DEL', grouped_key)
    return 'mend', '0'
  end
  if ours == theirs then return 'list', '0' end
  local cursor = sweep()
  return cursor == '0' and 'list' or 'mend', cursor
end

local function list()
  local cursor, found = unpack(call('HSCAN', causes_key, args.cursor, 'COUNT', BATCH))
  local groups = {}
  for n = 1, #found, 2 do
    local key, names = group_key(found[n]), unpacked(found[n + 1])
    local count = call('ZCOUNT', key, args.above, args.below)
    if names and count > 0 then
      local newest = call('ZRANGE', key, args.below, args.above, 'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
      groups[#groups + 1] = {found[n], names[1], names[2], names[3], count, tonumber(newest[2])}
    end
  end
  return cursor == '0' and 'done' or 'list', cursor, groups
end

local word, cursor, groups
if args.phase == 'mend' then word, cursor = mend() else word, cursor, groups = list() end
return cmsgpack.pack({word, cursor, groups or {}})
