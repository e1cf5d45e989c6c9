-- Joined behind rewrite.

-- reach is how far into the sorted part a late entry may belong for tidy to find
-- its place; portion is how many entries it takes up at once.
local reach, portion = 32, 1000

-- overtaken is how many others a post may overtake, on average.
local overtaken = 32

-- tidy does what rewrite does where nothing is to be joined and the bottom is that of
-- the list's last rewrite, below all that is sorted. It touches the ends alone, where new posts come and the cap cuts. What was pushed lies in
-- order but for posts that overtook each other, so it is sorted by insertion. It
-- returns the new header; or nil, and then has done nothing, where that does not do:
-- a late entry belongs deeper than reach, ids are too far apart, or so many posts
-- overtook others that Redis's own SORT is faster.
--
-- Ids are compared as numbers: by their distance from the one pushed last, which is
-- exact within 2^53, twelve days. The bottom may be farther, and is still on the right
-- side of all that are not.
--
-- The first write is one that Redis does not refuse for want of memory.
local function tidy(key, h, cap)
  local entries = call('LLEN', key) - 1
  local pushed = entries - struct.unpack('>I4', h, 47)
  if entries == 0 or pushed + reach > portion then return end
  local head = call('LRANGE', key, 0, math.min(entries, pushed + reach) - 1)
  local halves = {struct.unpack('>' .. string.rep('I4I4', #head), table.concat(head))}
  local base, high, low = halves[1], struct.unpack('>I4I4', h, 3)
  local bottom = (high - base) * 2 ^ 32 + low

  -- The first n of head and their places become sorted. The first changed of the
  -- list are not what they were, and are to be the first kept of head.
  local places, n, changed, kept, whole = {}, 0, 0, 0, #head == entries
  local moves = 0
  for i = 1, #head do
    local e, place, at = head[i], (halves[2 * i - 1] - base) * 2 ^ 32 + halves[2 * i], n
    if place < -2 ^ 53 or place > 2 ^ 53 then
      return
    elseif place <= bottom then
      changed, kept = i, n
    else
      while at > 0 and places[at] < place do
        head[at + 1], places[at + 1] = head[at], places[at]
        at = at - 1
      end
      head[at + 1], places[at + 1] = e, place
      moves = moves + n - at
      if moves > overtaken * #head then return end
      n = n + 1
      if at + 1 < n or at > 0 and places[at] - place < 2 then -- it moved, or may be a repeat
        changed, kept = i, n
      elseif i > pushed then -- all that follow lie below it
        whole = true
        break
      end
    end
  end
  if not whole then return end

  if changed > 0 then
    local rising, last = {}, nil
    for i = kept, 1, -1 do
      local id = places[i] - places[i] % 2
      if id ~= last then -- of a repeat the one that was delivered comes first
        rising[#rising + 1], last = head[i], id
      end
    end
    call('LTRIM', key, changed, -1)
    push('LPUSH', key, rising, #rising)
    entries = entries - changed + #rising
  end
  if entries <= cap then
    h = with(h, 47, struct.pack('>I4', entries))
    call('LSET', key, -1, h)
    return h
  end
  h = with(with(h, 3, highest(call('LINDEX', key, cap))), 47, struct.pack('>I4', cap))
  call('LTRIM', key, 0, cap - 1)
  call('RPUSH', key, h)
  return h
end

-- cut sorts a timeline, and drops repeats and what the cap leaves out.
local function cut(key, h, cap) return tidy(key, h, cap) or rewrite(key, h, cap, '') end
