-- KEYS: log of deletes. ARGV: an id for a new log, how many are kept, posts.
-- Begins a new log if there is none of this life of the server, appends posts
-- (none is allowed) and returns the log's head.
local key, id, n = KEYS[1], stamp(), #ARGV - 2
local head = call('LINDEX', key, 0)
if not head or #head ~= 49 or sub(head, 10) ~= id or struct.unpack('>I4', head, 6) + n >= 2 ^ 32 then
  call('DEL', key)
  head = '\1' .. ARGV[1] .. struct.pack('>I4', 0) .. id
  call('RPUSH', key, head)
end
if n == 0 then return head end
local posts = {}
for i = 1, n do posts[i] = ARGV[i + 2] end
push('RPUSH', key, posts, n)
head = with(head, 6, struct.pack('>I4', struct.unpack('>I4', head, 6) + n))
call('LPOP', key)
call('LTRIM', key, -tonumber(ARGV[2]), -1)
call('LPUSH', key, head)
return head
