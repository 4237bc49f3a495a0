#!lua
-- name: an id that a caller gave leads to the partition of the request that came with it first; the first word stands.
-- args: items
-- item: id partition
-- gives: partitions
-- emits:
local WINDOW = 8 * 24 * 3600 * 1000
return each(function(item)
  local key = tag .. ':named:' .. item.id
  local stored = try('GET', key)
  local first = type(stored) == 'string' and tonumber(stored)
  if first then return first end
  call('SET', key, item.partition, 'PX', WINDOW)
  return item.partition
end)
