-- Explains each technical word (glossary.yaml) in a footnote where it first stands in the text of a page: not in
-- headings, links, captions and tables. Works in Quarto (filters) and in plain Pandoc.

local function read()
  local file = assert(io.open("glossary.yaml")) -- both renderers work in the document's folder
  local text = file:read("a")
  file:close()
  local says = {}
  for _, entry in ipairs(pandoc.read("---\n" .. text .. "---\n", "markdown-smart").meta.entries) do
    for _, word in ipairs(entry.words) do
      says[pandoc.utils.stringify(word)] = entry
    end
  end
  return says
end

local says = read()

-- The entry that a piece of text is a word of, without the punctuation around it.
local function entry_of(inline)
  local chip = inline.t == "Span" and inline.classes:includes("verdict")
  if not (chip or inline.t == "Str") then
    return nil
  end
  local word = pandoc.utils.stringify(inline):gsub("^%p+", ""):gsub("%p+$", "")
  return says[word] or (#word > 1 and says[word:lower()]) or nil -- a letter is meant as it stands
end

local function explain(inlines)
  local out = pandoc.Inlines({})
  for _, inline in ipairs(inlines) do
    if inline.t == "Emph" or inline.t == "Strong" then
      inline.content = explain(inline.content) -- in the order of the text
    end
    out:insert(inline)
    local entry = entry_of(inline)
    if entry and not entry.told then
      entry.told = true
      local term = pandoc.Strong(pandoc.utils.stringify(entry.words[1]))
      out:insert(pandoc.Note({ pandoc.Para({ term, pandoc.Str(":"), pandoc.Space(), table.unpack(entry.says) }) }))
    end
  end
  return out
end

local function as_it_is(element)
  return element, false
end

function Pandoc(doc)
  doc.blocks = doc.blocks:walk({
    traverse = "topdown",
    Inlines = explain,
    Span = function(span)
      return span, not span.classes:includes("verdict") -- its word has its note behind it
    end,
    Div = function(div)
      return div, not (div.classes:includes("pages") or div.classes:includes("strip"))
    end,
    Header = as_it_is,
    Figure = as_it_is,
    Table = as_it_is,
    Link = as_it_is,
    Cite = as_it_is,
    Note = as_it_is,
  })
  return doc
end
