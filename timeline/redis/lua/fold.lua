-- KEYS: timeline. ARGV: token, old follow version, next, cap, entries.
-- Returns 1 if token and version were there and the entries are in now.
local h = trusted(KEYS[1])
if not h or sub(h, 2, 2) ~= live or sub(h, 11, 26) ~= ARGV[1] .. ARGV[2] then return 0 end
rewrite(KEYS[1], with(h, 19, ARGV[3]), tonumber(ARGV[4]), ARGV[5])
return 1
