-- title: Texts in a broken encoding
-- question: Which songs and artists arrived in a broken encoding?
-- section: Data
-- chart: table
-- with: heard
-- whole: level, day
-- headline: {total[plays]:name} of songs and artists in the plays, {first[texts]} different ones, arrived in a broken encoding. They are shown repaired and marked; the tables keep what was loaded.
-- nothing: No song or artist in the plays is in a broken encoding.
with texts as (
    select
        'artist' as kind,
        artist as text
    from heard

    union all

    select
        'song' as kind,
        song as text
    from heard
)

select
    text,
    kind,
    count(*) as plays,
    count(*) over () as texts
from texts
-- UTF-8 that was read as Latin-1: one of these letters before a character outside of ASCII
where text ~ '(Ã|Â|â)[^ -~]'
group by text, kind
order by plays desc, kind, text
