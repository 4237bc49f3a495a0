#!lua flags=allow-oom
-- shred: what an ended job and an account say of a person is gone: the account, the hash of the request, the trace, the
-- story. The record stays to be counted until its retention is over, and its id to be known for one that came before.
-- args: items accounts
-- item: id
-- gives: shredded | not_ended | unknown
-- emits:
local DRAWER = 7 * 24 * 3600 * 1000 / 2
local NOBODY = string.rep('\0', 8)

for _, account in ipairs(args.accounts) do
  call('UNLINK', tag .. ':user:' .. account, tag .. ':unique:' .. account)
end

-- A job that left the queue: its id stays, with the time at which it was seen.
local function shred_seen(id)
  for n = math.floor(logical / DRAWER), math.floor(logical / DRAWER) - 2, -1 do
    local key = tag .. ':seen:' .. n
    local seen = call('HGET', key, id)
    if seen then
      call('HSET', key, id, NOBODY .. sub(seen, 9))
      return 'shredded'
    end
  end
  return 'unknown'
end

return each(function(item)
  local job = load(item.id)
  if not job then return shred_seen(item.id) end
  if job.state ~= 'completed' and job.state ~= 'cancelled' then return 'not_ended' end
  job.storied = false
  local constant = sub(job.raw, HEAD_SIZE + #NOBODY + 1, KIND_AT + #job.kind)
  call('SET', job_prefix .. item.id, head(job) .. NOBODY .. constant .. '\0\0')
  call('UNLINK', story_prefix .. item.id)
  return 'shredded'
end)
