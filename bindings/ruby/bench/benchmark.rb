# frozen_string_literal: true

# Compares channel authorization and trigger with OpenSSL::HMAC and an HTTP client that keeps its connection (Net::HTTP, the
# fastest of the standard library), used as in the official gem. It prints figures and makes no verdict.
#
#   PUSHER_LIBRARY=…/libpusher.so SINK=…/sink ruby bench/benchmark.rb
#
# SINK is benches/sink.c, a server that responds to anything at once. Rounds alternate, so that other load affects both alike;
# the table shows medians.

require 'digest'
require 'json'
require 'net/http'
require 'openssl'

$LOAD_PATH.unshift File.expand_path('../lib', __dir__)
require 'libpusher'

ROUNDS = Integer(ENV.fetch('BENCH_ROUNDS', 11))
SECONDS = Float(ENV.fetch('BENCH_SECONDS', 0.2))
KEY = 'test-key'
SECRET = 'test-secret'
APP_ID = '4711'
DATA = { message: 'hello world', from: 'ruby', n: 42 }.freeze

# The same work as the official gem does, without the gem.
class ByHand
  def initialize(port)
    @http = Net::HTTP.new('127.0.0.1', port)
    @http.keep_alive_timeout = 60
    @http.start
  end

  def authenticate(channel, socket_id, custom_data = nil)
    custom_data = custom_data && JSON.generate(custom_data)
    signature = hmac([socket_id, channel, custom_data].compact.join(':'))
    answer = { auth: "#{KEY}:#{signature}" }
    answer[:channel_data] = custom_data if custom_data
    answer
  end

  def trigger(channels, event, data)
    body = JSON.generate(name: event, channels: Array(channels), data: JSON.generate(data))
    params = { 'auth_key' => KEY, 'auth_timestamp' => Time.now.to_i.to_s, 'auth_version' => '1.0',
               'body_md5' => Digest::MD5.hexdigest(body) }
    query = params.sort.map { |name, value| "#{name}=#{value}" }.join('&')
    path = "/apps/#{APP_ID}/events"
    url = "#{path}?#{query}&auth_signature=#{hmac("POST\n#{path}\n#{query}")}"
    response = @http.post(url, body, 'Content-Type' => 'application/json')
    raise response.body unless response.code == '200'

    JSON.parse(response.body)
  end

  private

  def hmac(text) = OpenSSL::HMAC.hexdigest('SHA256', SECRET, text)
end

def rate
  clock = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC) }
  start = clock.call
  finish = start + SECONDS
  count = 0
  while clock.call < finish
    20.times { yield }
    count += 20
  end
  count / (clock.call - start)
end

def median(values) = values.sort[values.size / 2]

IO.popen([ENV.fetch('SINK')], 'r+') do |sink|
  port = Integer(sink.gets)
  ours = LibPusher::Client.new(app_id: APP_ID, key: KEY, secret: SECRET, host: '127.0.0.1', port: port, ssl: false)
  theirs = ByHand.new(port)
  member = { user_id: '7', user_info: { name: 'Zoë' } }
  raise 'the signatures differ' unless ours.authenticate('presence-c', '1.2', member) == theirs.authenticate('presence-c', '1.2', member)

  cases = {
    'authorize a private channel' => ->(client) { client.authenticate('private-my-channel', '1234.5678') },
    'authorize a presence channel' => ->(client) { client.authenticate('presence-my-channel', '1234.5678', member) },
    'trigger, one thread' => ->(client) { client.trigger('my-channel', 'my-event', DATA) }
  }
  puts format('%-30s %14s %14s %8s', "Ruby #{RUBY_VERSION}, per second", 'libpusher', 'by hand', 'ratio')
  cases.each do |name, work|
    rates = ROUNDS.times.map { [ours, theirs].map { |client| rate { work.call(client) } } }.transpose
    ours_median, theirs_median = rates.map { |values| median(values) }
    puts format('%-30s %14.0f %14.0f %8.2f', name, ours_median, theirs_median, ours_median / theirs_median)
  end
  sink.close_write
end
