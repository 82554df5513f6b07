-- Puts the CSV files that the document links to into the page itself: a link to numbers.csv becomes a data: link with
-- a `download` attribute. Works in Quarto (filters: [embed.lua]) and in plain Pandoc. The bytes are kept as they are.

local function encode(bytes)
  -- RFC 3986: unreserved characters stay; of the reserved ones, those that CSV is full of and that are plain data here.
  return (bytes:gsub("[^%w%-._~,;:/]", function(char) return string.format("%%%02X", char:byte()) end))
end

function Link(link)
  local target = link.target
  if not target:lower():match("%.csv$") or target:match("^%a[%w+.-]*:") then
    return nil
  end
  local ok, mime, bytes = pcall(pandoc.mediabag.fetch, target)
  if not ok or not bytes then
    error("cannot read " .. target .. ", which the document links to", 0)
  end
  link.attributes.download = link.attributes.download or pandoc.path.filename(target)
  link.target = "data:text/csv;charset=utf-8," .. encode(bytes)
  return link
end
