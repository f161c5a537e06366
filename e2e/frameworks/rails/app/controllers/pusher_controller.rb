class PusherController < ApplicationController
  before_action :require_user, only: %i[auth user_auth]

  def auth
    channel = params[:channel_name]
    member = { user_id: current_user, user_info: { name: current_user } } if channel.start_with?('presence-')
    render json: Pusher.authenticate(channel, params[:socket_id], member)
  end

  def user_auth
    render json: Pusher.authenticate_user(params[:socket_id], { id: current_user })
  end

  def webhook
    webhook = Pusher.webhook(request)
    return head(:unauthorized) unless webhook.valid?

    File.open(ENV['STATE'], 'a') { |file| webhook.events.each { |event| file.puts(event.to_json) } }
    head :ok
  end

  def webhooks
    lines = File.exist?(ENV['STATE']) ? File.readlines(ENV['STATE']) : []
    render json: lines.map { |line| JSON.parse(line) }
  end

  def up = head(:ok)
end
