class OrdersController < ApplicationController
  # "not_sent": the event can be sent again. "unknown": it may have arrived.
  rescue_from Pusher::HTTPError do |error|
    render json: { delivery: error.delivery }, status: :service_unavailable
  end

  def create
    order = { id: params[:id] }
    # The connection that made the order already knows it.
    Pusher.trigger('private-orders', 'order-created', order, { socket_id: params[:socket_id] })
    render json: order
  end
end
