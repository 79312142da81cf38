-- What Redshift has and PostgreSQL lacks, or has with another meaning. Run once, as the superuser.
create schema redshift;
grant usage on schema redshift to public;
set search_path to redshift;

create function too_long(size integer) returns boolean language plpgsql as $$
begin
    raise exception using errcode = '22001', message = format('value too long for type character varying(%s)', size);
end $$;

create function getdate() returns timestamp stable
return date_trunc('second', statement_timestamp()::timestamp);  -- in the session's time zone, as the next

create function sysdate() returns timestamp stable
return transaction_timestamp()::timestamp;

create function version() returns text immutable
return 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017 (Red Hat 3.4.2-6.fc3), '
    || 'Redshift 1.0.113444';

-- every session makes these sequences, because a sequence outlives the rollback of a transaction
create function pg_last_copy_count() returns bigint language plpgsql as $$
begin
    return (select last_value from pg_temp.last_copy_count);
end $$;

create function pg_last_copy_id() returns bigint language plpgsql as $$
begin
    return (select last_value from pg_temp.last_copy_id);
end $$;

-- names of date parts, as Redshift spells them
create function part(name text) returns text immutable strict
return case lower(name)
    when 'millennia' then 'millennium' when 'mil' then 'millennium' when 'mils' then 'millennium'
    when 'c' then 'century' when 'cent' then 'century' when 'cents' then 'century' when 'centuries' then 'century'
    when 'dec' then 'decade' when 'decs' then 'decade' when 'decades' then 'decade'
    when 'y' then 'year' when 'yr' then 'year' when 'yrs' then 'year' when 'years' then 'year'
    when 'qtr' then 'quarter' when 'qtrs' then 'quarter' when 'quarters' then 'quarter'
    when 'mon' then 'month' when 'mons' then 'month' when 'months' then 'month'
    when 'w' then 'week' when 'weeks' then 'week'
    when 'dayofweek' then 'dow' when 'dw' then 'dow' when 'weekday' then 'dow'
    when 'dayofyear' then 'doy' when 'dy' then 'doy' when 'yearday' then 'doy'
    when 'd' then 'day' when 'days' then 'day'
    when 'h' then 'hour' when 'hr' then 'hour' when 'hrs' then 'hour' when 'hours' then 'hour'
    when 'm' then 'minute' when 'min' then 'minute' when 'mins' then 'minute' when 'minutes' then 'minute'
    when 's' then 'second' when 'sec' then 'second' when 'secs' then 'second' when 'seconds' then 'second'
    when 'ms' then 'milliseconds' when 'msec' then 'milliseconds' when 'msecs' then 'milliseconds'
    when 'msecond' then 'milliseconds' when 'mseconds' then 'milliseconds' when 'millisec' then 'milliseconds'
    when 'millisecs' then 'milliseconds' when 'millisecond' then 'milliseconds'
    when 'us' then 'microseconds' when 'usec' then 'microseconds' when 'usecs' then 'microseconds'
    when 'microsec' then 'microseconds' when 'microsecs' then 'microseconds' when 'microsecond' then 'microseconds'
    else lower(name)
end;

create function date_part(name text, moment timestamp) returns double precision immutable strict
return pg_catalog.date_part(redshift.part(name), moment);

create function extracted(name text, moment timestamp) returns bigint immutable strict
return case redshift.part(name)
    when 'milliseconds' then trunc(extract(milliseconds from moment))::bigint % 1000
    when 'microseconds' then trunc(extract(microseconds from moment))::bigint % 1000000
    else trunc(pg_catalog.date_part(redshift.part(name), moment)::numeric)
end;

create function date_trunc(name text, moment timestamp) returns timestamp immutable strict
return pg_catalog.date_trunc(redshift.part(name), moment);

-- boundaries crossed, not time elapsed
create function datediff(name text, since timestamp, until timestamp) returns bigint language plpgsql immutable strict
as $$
declare
    months bigint := (extract(year from until) - extract(year from since)) * 12
        + extract(month from until) - extract(month from since);
    micros bigint;
begin
    name := redshift.part(name);
    case name
        when 'month' then return months;
        when 'quarter' then
            return (extract(year from until) - extract(year from since)) * 4
                + extract(quarter from until) - extract(quarter from since);
        when 'year' then return extract(year from until) - extract(year from since);
        when 'decade' then return extract(decade from until) - extract(decade from since);
        when 'century' then return extract(century from until) - extract(century from since);
        when 'week' then  -- weeks begin on Sunday here
            return ((until::date - extract(dow from until)::int) - (since::date - extract(dow from since)::int)) / 7;
        when 'day', 'hour', 'minute', 'second', 'milliseconds', 'microseconds' then
            micros := extract(epoch from pg_catalog.date_trunc(name, until) - pg_catalog.date_trunc(name, since))
                * 1000000;
            return micros / case name
                when 'day' then 86400000000 when 'hour' then 3600000000 when 'minute' then 60000000
                when 'second' then 1000000 when 'milliseconds' then 1000 else 1
            end;
        else raise exception using errcode = '42601', message = format('unknown date part "%s"', name);
    end case;
end $$;

create function dateadd(name text, count bigint, moment timestamp) returns timestamp immutable strict
return moment + case redshift.part(name)
    when 'quarter' then count * 3 * interval '1 month'
    when 'decade' then count * interval '10 years'
    when 'century' then count * interval '100 years'
    else count * ('1 ' || redshift.part(name))::interval
end;

create function add_months(moment timestamp, count bigint) returns timestamp immutable strict
return case
    when extract(day from moment + interval '1 day') = 1  -- the last of a month stays the last of a month
        then pg_catalog.date_trunc('month', moment) + (count + 1) * interval '1 month' - interval '1 day'
            + (moment - pg_catalog.date_trunc('day', moment))
    else moment + count * interval '1 month'
end;

create function last_day(moment timestamp) returns date immutable strict
return (pg_catalog.date_trunc('month', moment) + interval '1 month' - interval '1 day')::date;

create function convert_timezone(zone text, moment timestamp) returns timestamp immutable strict
return moment at time zone 'UTC' at time zone zone;

create function convert_timezone(source text, zone text, moment timestamp) returns timestamp immutable strict
return moment at time zone source at time zone zone;

create function trunc(moment timestamp) returns date immutable strict return moment::date;
create function trunc(number integer) returns integer immutable strict return number;
create function trunc(number bigint) returns bigint immutable strict return number;
create function trunc(number numeric) returns numeric immutable strict return pg_catalog.trunc(number);
create function trunc(number numeric, scale integer) returns numeric immutable strict
return pg_catalog.trunc(number, scale);
create function trunc(number double precision) returns double precision immutable strict
return pg_catalog.trunc(number);

create function round(number integer) returns integer immutable strict return number;
create function round(number bigint) returns bigint immutable strict return number;
create function round(number numeric) returns numeric immutable strict return pg_catalog.round(number);
create function round(number numeric, scale integer) returns numeric immutable strict
return pg_catalog.round(number, scale);
create function round(number double precision) returns double precision immutable strict
return pg_catalog.round(number::numeric);
create function round(number double precision, scale integer) returns double precision immutable strict
return pg_catalog.round(number::numeric, scale);

-- Redshift's average of whole numbers is a whole number
create function add_whole(state numeric[], number smallint) returns numeric[] immutable strict
return array[state[1] + number, state[2] + 1];
create function add_whole(state numeric[], number integer) returns numeric[] immutable strict
return array[state[1] + number, state[2] + 1];
create function add_whole(state numeric[], number bigint) returns numeric[] immutable strict
return array[state[1] + number, state[2] + 1];
create function whole_average(state numeric[]) returns bigint immutable strict
return case when state[2] > 0 then pg_catalog.trunc(state[1] / state[2])::bigint end;
create aggregate avg(smallint) (sfunc = add_whole, stype = numeric[], initcond = '{0,0}', finalfunc = whole_average);
create aggregate avg(integer) (sfunc = add_whole, stype = numeric[], initcond = '{0,0}', finalfunc = whole_average);
create aggregate avg(bigint) (sfunc = add_whole, stype = numeric[], initcond = '{0,0}', finalfunc = whole_average);
create aggregate avg(numeric) (sfunc = numeric_avg_accum, stype = internal, finalfunc = numeric_avg);
create aggregate avg(double precision) (
    sfunc = float8_accum, stype = float8[], initcond = '{0,0,0}', finalfunc = float8_avg
);

create function concat(one text, other text) returns text immutable strict return one || other;
create function len(string text) returns integer immutable strict return length(string);
create function charindex(part text, string text) returns integer immutable strict return strpos(string, part);
create function regexp_replace(string text, pattern text) returns text immutable strict
return pg_catalog.regexp_replace(string, pattern, '', 'g');
create function regexp_replace(string text, pattern text, replacement text) returns text immutable strict
return pg_catalog.regexp_replace(string, pattern, replacement, 'g');
create function regexp_substr(string text, pattern text) returns text immutable strict
return coalesce(pg_catalog.regexp_substr(string, pattern), '');
create function sha2(string text, bits integer) returns text immutable strict
return case bits
    when 0 then encode(sha256(convert_to(string, 'UTF8')), 'hex')
    when 224 then encode(sha224(convert_to(string, 'UTF8')), 'hex')
    when 256 then encode(sha256(convert_to(string, 'UTF8')), 'hex')
    when 384 then encode(sha384(convert_to(string, 'UTF8')), 'hex')
    when 512 then encode(sha512(convert_to(string, 'UTF8')), 'hex')
end;

create function strtol(string text, base integer) returns bigint language plpgsql immutable strict as $$
declare
    digits text := lower(trim(string));
    value bigint := 0;
begin
    if digits !~ '^[-+]?[0-9a-z]+$' then
        raise exception using errcode = 'XX000', message = format('The input %s is not valid to be converted to base %s', string, base);
    end if;
    for place in 1..length(ltrim(digits, '+-')) loop
        value := value * base + strpos('0123456789abcdefghijklmnopqrstuvwxyz', substr(ltrim(digits, '+-'), place, 1)) - 1;
    end loop;
    return case when digits like '-%' then -value else value end;
end $$;

create function json_extract_path_text(string text, variadic path text[]) returns text immutable strict
return coalesce(pg_catalog.json_extract_path_text(string::json, variadic path), '');

-- the catalogue
create view svv_columns as
select
    table_catalog::varchar(128) as table_catalog,
    table_schema::varchar(128) as table_schema,
    table_name::varchar(128) as table_name,
    column_name::varchar(128) as column_name,
    ordinal_position::integer as ordinal_position,
    column_default::varchar(4000) as column_default,
    is_nullable::varchar(3) as is_nullable,
    data_type::varchar(128) as data_type,
    character_maximum_length::integer as character_maximum_length,
    numeric_precision::integer as numeric_precision,
    numeric_precision_radix::integer as numeric_precision_radix,
    numeric_scale::integer as numeric_scale,
    datetime_precision::integer as datetime_precision
from information_schema.columns
where table_schema not in ('redshift', 'pg_catalog', 'information_schema');

create view svv_tables as
select
    table_catalog::varchar(128) as table_catalog,
    table_schema::varchar(128) as table_schema,
    table_name::varchar(128) as table_name,
    table_type::varchar(128) as table_type,
    null::varchar(256) as remarks
from information_schema.tables
where table_schema not in ('redshift', 'pg_catalog', 'information_schema');

-- what COPY reports: as documented for SYS_LOAD_HISTORY, SYS_LOAD_DETAIL and SYS_LOAD_ERROR_DETAIL
create sequence query_ids start 100;

create table load_history (
    user_id integer,
    query_id bigint,
    transaction_id bigint,
    session_id integer,
    database_name text,
    status text,
    table_name text,
    start_time timestamp,
    end_time timestamp,
    duration bigint,
    data_source text,
    file_format text,
    loaded_rows bigint,
    loaded_bytes bigint,
    source_file_count integer,
    source_file_bytes bigint,
    file_count_scanned integer,
    file_bytes_scanned bigint,
    error_count bigint,
    copy_job_id bigint
);

create table load_detail (
    user_id integer,
    query_id integer,
    file_name character(256),
    bytes_scanned integer,
    lines_scanned integer,
    record_time timestamp,
    splits_scanned integer,
    start_time timestamp,
    end_time timestamp
);

create table load_error_detail (
    user_id integer,
    query_id bigint,
    transaction_id bigint,
    session_id integer,
    database_name character(64),
    table_id integer,
    start_time timestamp,
    file_name character(256),
    line_number bigint,
    column_name character(127),
    column_type character(10),
    column_length character(10),
    position integer,
    error_code integer,
    error_message character(512)
);

create table lag (ends_at timestamptz);

-- read over a connection of their own, because no snapshot holds for system tables
create extension dblink schema redshift;

create function reports(name text) returns setof json security definer
begin atomic
    select report
    from redshift.dblink(
        format('host=%s user=%s dbname=%s', current_setting('unix_socket_directories'), current_user, current_database()),
        format(
            'select row_to_json(report) from redshift.%I as report '
            'where not exists (select from redshift.lag where ends_at > clock_timestamp())',
            name
        )
    ) as answer (report json);
end;

create view sys_load_history as
select reported.* from reports('load_history') as r, json_populate_record(null::load_history, r) as reported;

create view sys_load_detail as
select reported.* from reports('load_detail') as r, json_populate_record(null::load_detail, r) as reported;

create view sys_load_error_detail as
select reported.* from reports('load_error_detail') as r, json_populate_record(null::load_error_detail, r) as reported;

grant select on all tables in schema redshift to public;

-- Trailing blanks do not count where text is compared, whether by an operator, a hash or a sort: of the functions that
-- do this for TEXT, those for CHAR take the place. They read the same bytes, and leave blanks out.
update pg_operator
set oprcode = regexp_replace(oprcode::text, '^text_?', 'bpchar')::regproc
where oprcode in ('texteq'::regproc, 'textne', 'text_lt', 'text_le', 'text_gt', 'text_ge');

update pg_amproc
set amproc = replaced.by
from (
    values
    ('bttextcmp'::regproc, 'bpcharcmp'::regproc),
    ('bttextsortsupport', 'bpchar_sortsupport'),
    ('hashtext', 'hashbpchar'),
    ('hashtextextended', 'hashbpcharextended')
) as replaced (function, by)
where amproc = replaced.function and amproclefttype = 'text'::regtype;
