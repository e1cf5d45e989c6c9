-- KEYS: log of deletes. ARGV: id of the log, how many were seen.
-- Returns the posts that followed, joined; nil if that cannot be told.
local head = call('LINDEX', KEYS[1], 0)
if not head or #head ~= 49 or sub(head, 2, 5) ~= ARGV[1] or sub(head, 10) ~= stamp() then return false end
local unseen = struct.unpack('>I4', head, 6) - tonumber(ARGV[2])
if unseen < 0 or unseen > call('LLEN', KEYS[1]) - 1 then return false end
if unseen == 0 then return '' end
return table.concat(call('LRANGE', KEYS[1], -unseen, -1))
