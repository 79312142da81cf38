-- title: Songs in a session
-- question: How many sessions are short, and how many are long?
-- section: Audience
-- chart: columns
-- x: songs (songs in the session)
-- y: sessions (sessions)
-- series: level
-- with: plays
-- rank: sessions_of_size
-- headline: Sessions of {peak[sessions_of_size][songs]} are the most common: {peak[sessions_of_size][sessions_of_size]} of {total[sessions]:session}.
with sessions as (
    select
        session,
        max(level) as level,  -- paid if the plan changed during the session
        count(*) as songs
    from plays
    group by session
),

sized as (
    select
        level,
        case
            when songs = 1 then 1
            when songs <= 5 then 2
            when songs <= 10 then 6
            when songs <= 20 then 11
            when songs <= 50 then 21
            else 51
        end as least_songs
    from sessions
)

select
    case least_songs
        when 1 then '1 song'
        when 2 then '2–5 songs'
        when 6 then '6–10 songs'
        when 11 then '11–20 songs'
        when 21 then '21–50 songs'
        else 'over 50 songs'
    end as songs,
    level,
    count(*) as sessions,
    sum(count(*)) over (partition by least_songs) as sessions_of_size
from sized
group by least_songs, level
order by least_songs, level
