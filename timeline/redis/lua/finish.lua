-- KEYS: timeline. ARGV: token, bottom, follow version, cap, entries.
-- Returns 1 if the building of token was there and is live now.
local h = trusted(KEYS[1])
if not h or sub(h, 2, 2) ~= building or sub(h, 11, 18) ~= ARGV[1] then return 0 end
if less(sub(h, 3, 10), ARGV[2]) then h = with(h, 3, ARGV[2]) end
h = with(with(h, 2, live), 19, ARGV[3])
rewrite(KEYS[1], h, tonumber(ARGV[4]), ARGV[5])
return 1
