-- title: Browsers and platforms
-- question: Which browsers and systems do people listen with?
-- chart: bars
-- x: plays (plays)
-- y: browser (browser)
-- series: platform
-- headline: {peak[plays][browser]} on {peak[plays][platform]} plays the most: {peak[plays][plays]:song}, {peak[plays][share]:.1f} % of all.
with agents as (
    select
        user_id,
        -- in this order, because each user agent also names the browsers that follow it here
        case
            when user_agent like '%Edge/%' or user_agent like '%Edg/%' then 'Edge'
            when user_agent like '%OPR/%' or user_agent like '%Opera%' then 'Opera'
            when user_agent like '%Firefox/%' then 'Firefox'
            when user_agent like '%Chrome/%' or user_agent like '%CriOS/%' then 'Chrome'
            when user_agent like '%MSIE %' or user_agent like '%Trident/%' then 'Internet Explorer'
            when user_agent like '%Safari/%' or user_agent like '%AppleWebKit/%' then 'Safari'
            else 'other'
        end as browser,
        case
            when user_agent like '%iPhone%' then 'iPhone'
            when user_agent like '%iPad%' then 'iPad'
            when user_agent like '%Android%' then 'Android'
            when user_agent like '%Windows%' then 'Windows'
            when user_agent like '%Macintosh%' then 'Mac'
            when user_agent like '%Linux%' then 'Linux'
            else 'other'
        end as platform
    from songplays
)

select
    browser,
    platform,
    count(*) as plays,
    count(distinct user_id) as listeners,
    100 * count(*)::float / sum(count(*)) over () as share,
    sum(count(*)) over (partition by browser) as plays_of_browser
from agents
group by browser, platform
order by plays_of_browser desc, browser, plays desc, platform
