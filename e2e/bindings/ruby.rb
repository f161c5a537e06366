# frozen_string_literal: true

# The Ruby program for bindings.test.mjs, which describes the protocol of these programs.

require 'json'
require 'libpusher'

# Publishes 0, 1, 2… through a publisher, and returns the reports.
def publish(client, job)
  publisher = client.publisher(reports: 'all')
  job['count'].times { |number| publisher.publish(job['channel'], job['event'], number) }
  raise 'events are left' unless publisher.close(timeout_ms: 10_000)

  { reports: publisher.poll }
end

def perform(client, job)
  case job['call']
  when 'trigger' then client.trigger(job['channels'], job['event'], job['data'])
  when 'trigger_batch' then client.trigger_batch(*job['events'].map { |event| event.transform_keys(&:to_sym) })
  when 'publish' then publish(client, job)
  when 'send_to_user' then client.send_to_user(job['user_id'], job['event'], job['data'])
  when 'terminate_user_connections' then client.terminate_user_connections(job['user_id'])
  when 'channels_info' then client.channels(filter_by_prefix: job['prefix'])
  when 'users_info' then client.channel_users(job['channel'])
  when 'authenticate' then client.authenticate(job['channel'], job['socket_id'], job['data'])
  when 'authenticate_channels' then client.authenticate_channels(job['socket_id'], job['channels'])
  when 'authenticate_user' then client.authenticate_user(job['socket_id'], job['data'])
  when 'validate_webhook' then client.validate_webhook(job['key'], job['signature'], job['body'])
  else raise "no such call: #{job['call']}"
  end
end

client = LibPusher::Client.new(url: ENV.fetch('PUSHER_URL'), encryption_master_key_base64: ENV.fetch('MASTER_KEY'))
$stdout.sync = true
$stdin.each_line(encoding: 'UTF-8') do |line|
  puts JSON.generate({ ok: perform(client, JSON.parse(line)) })
rescue LibPusher::Error => e
  puts JSON.generate({ error: e.status })
end
