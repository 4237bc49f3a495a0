#!lua flags=allow-oom
-- reseal: put a payload that was sealed anew in the place of the same one.
-- args: items
-- item: id size
-- payloads: of each job the `size` bytes that its record ends with, and those in their place
-- gives: resealed | changed
-- emits:
return each(function(item, i)
  local key, before, after = job_prefix .. item.id, ARGV[2 * i], ARGV[2 * i + 1]
  local raw = try('GET', key)
  if type(raw) ~= 'string' or #raw <= HEAD_SIZE + item.size or sub(raw, -item.size) ~= before then return 'changed' end
  call('SET', key, sub(raw, 1, -item.size - 1) .. after)
  return 'resealed'
end)
